"""What the API server says to the renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from voicehelper_cli.failures import Failure
from voicehelper_e2e.charts import check, render
from voicehelper_e2e.charts.tests.conftest import Cluster

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("case", render.VALUES)
def test_the_api_server_accepts_it(case: str, charts_cluster: Cluster, tmp_path: Path) -> None:
    text = render.template(render.PLATFORM, *render.arguments(case))
    check.accepted(charts_cluster.server, text, tmp_path)


def test_the_api_server_accepts_what_is_off_by_default(charts_cluster: Cluster, tmp_path: Path) -> None:
    settings = [
        "router.service.type=LoadBalancer",
        "router.service.nodePort=30080",
        "router.service.loadBalancerClass=a.example/b",
        "router.service.loadBalancerSourceRanges[0]=192.0.2.0/24",
        "networkPolicies.routerFrom[0].ipBlock.cidr=192.0.2.0/24",
        "monitoring.otlp.host=collector.voicehelper-monitoring.svc",
        "image.pullSecrets[0]=registry",
        "podDefaults.nodeSelector.pool=platform",
        "podDefaults.tolerations[0].operator=Exists",
        "podDefaults.annotations.a=b",
        "analytics.persistence.enabled=true",
        "analytics.persistence.storageClass=fast",
        "stores.objects.peers[0].cidr=192.0.2.9/32",
        "stores.objects.peers[0].ports[0]=443",
    ]
    text = render.template(render.PLATFORM, *render.arguments("small", *settings))
    check.accepted(charts_cluster.server, text, tmp_path)


@pytest.mark.parametrize("case", render.VALUES)
def test_it_conforms_to_the_schemas(case: str, json_schemas: Path) -> None:
    check.conforms(render.template(render.PLATFORM, *render.arguments(case)), json_schemas)


def test_crds_are_accepted_and_conform(charts_cluster: Cluster, json_schemas: Path, tmp_path: Path) -> None:
    text = render.template(render.CRDS)
    check.conforms(text, json_schemas)
    check.accepted(charts_cluster.server, text, tmp_path)


def broken(change: str) -> str:
    """A render with one mistake."""
    found = render.objects(render.template(render.PLATFORM, *render.arguments("small")))
    deployment = render.named(found, "Deployment", "identity")
    match change:
        case "a field that is not known":
            deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
        case "a value of another type":
            deployment["spec"]["replicas"] = "three"
        case _:
            render.named(found, "TenantPlan", "team")["spec"]["quota"]["userz"] = 3
    return yaml.safe_dump_all(found)


@pytest.mark.parametrize("change", ["a field that is not known", "a value of another type", "our own kind"])
def test_both_checks_find_mistakes(change: str, charts_cluster: Cluster, json_schemas: Path, tmp_path: Path) -> None:
    text = broken(change)
    with pytest.raises(Failure, match=r"identity|team"):
        check.conforms(text, json_schemas)
    with pytest.raises(Failure):
        check.accepted(charts_cluster.server, text, tmp_path)


def templates(case: str) -> dict[str, dict[str, Any]]:
    found = render.objects(render.template(render.PLATFORM, *render.arguments(case)))
    return {
        item["metadata"]["name"]: item["spec"]["template"] for item in found if item["kind"] in ("Deployment", "Job")
    }


@pytest.mark.parametrize("case", render.VALUES)
def test_every_pod_is_admitted_where_only_restricted_ones_are(case: str, installed: Cluster, tmp_path: Path) -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"try-{name}", "namespace": render.NAMESPACE}, **rest}
        for name, template in templates(case).items()
        for rest in [{"spec": template["spec"]}]
    ]
    assert len(pods) == (8 if case == "production" else 7)  # the adapter of metrics is on there
    known = installed.kubectl("-n", render.NAMESPACE, "get", "serviceaccounts", "-o", "name")
    for account in {pod["spec"].get("serviceAccountName", "default") for pod in pods}:
        if f"/{account}\n" not in known:
            installed.kubectl("-n", render.NAMESPACE, "create", "serviceaccount", account)
    file = tmp_path / "pods.yaml"
    file.write_text(yaml.safe_dump_all(pods))
    installed.kubectl("create", "--dry-run=server", "-f", str(file))
    pods[0]["spec"] = {**pods[0]["spec"], "hostNetwork": True}
    file.write_text(yaml.safe_dump_all(pods[:1]))
    with pytest.raises(Failure, match="violates PodSecurity"):
        installed.kubectl("create", "--dry-run=server", "-f", str(file))
