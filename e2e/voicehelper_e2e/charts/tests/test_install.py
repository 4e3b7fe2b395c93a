"""Installing, upgrading and uninstalling, with the API server's own controllers behind."""

from __future__ import annotations

import json
import time

import pytest
from voicehelper_crds import KINDS
from voicehelper_e2e.charts import render
from voicehelper_e2e.charts.tests.conftest import Cluster

pytestmark = pytest.mark.integration
COMPONENTS = {"operator", "identity", "router", "analytics", "inference"}


def test_each_deployment_gets_its_pod(installed: Cluster) -> None:
    """The namespace admits restricted pods only, and the accounts and priorities have to be there."""
    deadline = time.monotonic() + 60
    while True:
        answer = json.loads(installed.kubectl("-n", render.NAMESPACE, "get", "pods", "-o", "json"))
        found = {item["metadata"]["labels"]["app.kubernetes.io/component"]: item["spec"] for item in answer["items"]}
        if set(found) == COMPONENTS or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert set(found) == COMPONENTS
    assert {name: spec["serviceAccountName"] for name, spec in found.items()} == {name: name for name in COMPONENTS}
    assert {spec["priorityClassName"] for spec in found.values()} == {"voicehelper-platform"}
    modes = {
        volume["secret"]["defaultMode"] for spec in found.values() for volume in spec["volumes"] if "secret" in volume
    }
    assert modes == {0o440}, "readable by the pod's group, which is fsGroup"


def test_an_upgrade_with_the_same_values_changes_nothing(installed: Cluster) -> None:
    def generations() -> dict[str, int]:
        answer = json.loads(installed.kubectl("-n", render.NAMESPACE, "get", "deployments", "-o", "json"))
        return {item["metadata"]["name"]: item["metadata"]["generation"] for item in answer["items"]}

    before = generations()
    installed.helm("upgrade", render.RELEASE, str(render.PLATFORM), "--no-hooks", *render.arguments("small"))
    assert generations() == before


def test_the_notes_say_what_to_do_next(installed: Cluster) -> None:
    notes = installed.helm("get", "notes", render.RELEASE)
    for said in (
        "wait deployment --all",
        "kubectl apply -f cell-shared.yaml",
        "port-forward service/router",
        "end with it",
    ):
        assert said in notes


def test_what_tenants_stand_on_stays_when_the_platform_goes(installed: Cluster) -> None:
    """Plans and classes, the volume of analytics, namespaces; the last test of this module that needs the platform."""
    settings = ("analytics.persistence.enabled=true", "namespaces.create[0].name=kept")
    installed.helm("upgrade", render.RELEASE, str(render.PLATFORM), "--no-hooks", *render.arguments("small", *settings))
    try:
        installed.helm("uninstall", render.RELEASE, "--no-hooks")
        left = installed.kubectl(
            "-n", render.NAMESPACE, "get", "all,pvc,configmaps,networkpolicies", "-o", "name"
        ).split()
        named = [name for name in left if "replicaset" not in name and "pod/" not in name]
        assert named == ["persistentvolumeclaim/analytics", "configmap/kube-root-ca.crt"]
        # What nobody answers any more would let nobody change our resources.
        assert (
            installed.kubectl("get", "validatingwebhookconfigurations,validatingadmissionpolicies", "-o", "name") == ""
        )
        for kind, name in (("tenantplan", "team"), ("cellclass", "standard"), ("namespace", "kept")):
            installed.kubectl("get", kind, name)
    finally:  # over what stayed, which is the release's own again
        installed.helm("install", render.RELEASE, str(render.PLATFORM), "--no-hooks", *render.arguments("small"))


def test_uninstalling_the_crds_deletes_no_crd_and_no_tenant(charts_cluster: Cluster) -> None:
    """The CRDs were applied by hand before, as on a cluster that moves to the chart."""
    for file in sorted((render.CRDS / "templates").glob("*.yaml")):
        name = f"{file.stem}.voicehelper.io"
        charts_cluster.kubectl(
            "annotate", "crd", name, "meta.helm.sh/release-name=voicehelper-crds",
            f"meta.helm.sh/release-namespace={render.NAMESPACE}", "--overwrite",
        )  # fmt: skip
        charts_cluster.kubectl("label", "crd", name, "app.kubernetes.io/managed-by=Helm", "--overwrite")
    charts_cluster.kubectl("apply", "-f", str(render.FOLDER.parent / "examples" / "tenant-acme.yaml"))
    for _ in range(2):  # and it can be installed again over what stayed
        charts_cluster.helm("upgrade", "--install", "voicehelper-crds", str(render.CRDS))
        charts_cluster.helm("uninstall", "voicehelper-crds")
        assert "tenant.voicehelper.io/acme" in charts_cluster.kubectl("get", "tenants", "-o", "name")
    names = charts_cluster.kubectl("get", "crds", "-o", "name").split()
    assert len([name for name in names if name.endswith(".voicehelper.io")]) == len(KINDS)
