"""An API server of these tests' own: they install into it, which others should not see."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from voicehelper_e2e.charts import check, render, tools
from voicehelper_e2e.cluster.alone import ApiServer, api_server


@dataclass(frozen=True)
class Cluster:
    """An API server, and Helm for it."""

    server: ApiServer
    folder: Path

    def kubectl(self, *arguments: str) -> str:
        return self.server.kubectl(*arguments)

    def helm(self, *arguments: str) -> str:
        command = [str(tools.helm()), "--kubeconfig", str(self.server.kubeconfig), "--namespace", render.NAMESPACE]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def account_kubeconfig(self, account: str) -> Path:
        """Whoever uses it is that service account of the platform."""
        token = self.kubectl("-n", render.NAMESPACE, "create", "token", account).strip()
        file = self.folder / f"{account}.kubeconfig"
        text = self.kubectl("config", "view", "--raw", "--flatten", "--minify")
        file.write_text(text)
        for change in (
            ("set-credentials", account, f"--token={token}"),
            ("set-context", "--current", f"--user={account}"),
        ):
            self.kubectl("config", f"--kubeconfig={file}", *change)
        return file


@pytest.fixture(scope="session")
def charts_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With an empty namespace for the platform that admits restricted pods only; the CRDs are there."""
    with api_server("*") as server:
        cluster = Cluster(server, tmp_path_factory.mktemp("charts"))
        server.kubectl("create", "namespace", render.NAMESPACE)
        server.kubectl("label", "namespace", render.NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        server.kubectl("-n", render.NAMESPACE, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        yield cluster


@pytest.fixture(scope="session")
def json_schemas(charts_cluster: Cluster) -> Path:
    return check.schemas(charts_cluster.server, charts_cluster.folder / "schemas")


@pytest.fixture(scope="session")
def installed(charts_cluster: Cluster) -> Cluster:
    """With the platform in it. Hooks are left out: there is no node that would run them."""
    charts_cluster.helm("install", render.RELEASE, str(render.PLATFORM), "--no-hooks", *render.arguments("small"))
    return charts_cluster
