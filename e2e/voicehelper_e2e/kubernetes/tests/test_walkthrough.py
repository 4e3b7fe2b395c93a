"""docs/kubernetes.md does what it says."""

from __future__ import annotations

import contextlib
import shutil

import pytest
import yaml
from voicehelper_cli.failures import Failure

from voicehelper_e2e.charts import tools
from voicehelper_e2e.cluster.project_image import ROOT
from voicehelper_e2e.kubernetes import walkthrough

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200), pytest.mark.enable_socket]
PAGE = ROOT / "docs" / "kubernetes.md"
BLOCKS = walkthrough.blocks(PAGE.read_text())
TENANTS = [yaml.safe_load(block.text)["metadata"]["name"] for block in BLOCKS if block.language == "yaml"]


@pytest.fixture
def shell(installation, tmp_path):
    """As a reader's beside a checkout: the cluster's own ``kubectl`` and ``helm``, no proxies."""
    programs = tmp_path / "bin"
    walkthrough.wrapper(programs / "kubectl", installation.cluster.command)
    walkthrough.wrapper(programs / "helm", [str(tools.helm())])
    folder = tmp_path / "checkout"
    for name in ("examples", "charts"):
        shutil.copytree(ROOT / name, folder / name)
    environment = {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(installation.cluster.kubeconfig),
        "LC_ALL": "C.UTF-8",
    }
    yield walkthrough.Shell(folder, environment)
    for tenant in TENANTS:  # the page removes them, where it comes so far
        with contextlib.suppress(Failure):
            opened = '{"spec":{"deletion":{"policy":"Delete","protect":false}}}'
            installation.kubectl("patch", "tenant", tenant, "--type=merge", "-p", opened)
            installation.kubectl("delete", "tenant", tenant, "--timeout=180s")


def test_the_page_does_what_it_says(shell):
    for block in BLOCKS:
        shell.run(block)


def test_nothing_of_the_page_is_left(installation):
    left = installation.kubectl("get", "tenants,cells", "-o", "name").split()
    assert not [name for name in left if name.rpartition("/")[2] in TENANTS]
