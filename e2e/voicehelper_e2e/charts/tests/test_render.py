"""What Helm renders, as a whole and in the parts that matter.

``UPDATE_GOLDEN=1 pytest`` writes the whole renders anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_cell.inference.settings import InferenceSettings
from voicehelper_cli.failures import Failure
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_core.settings import CONFIG_VARIABLE, BaseAppSettings
from voicehelper_e2e.charts import check, render
from voicehelper_operator.settings import ClusterOperatorSettings
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_router.settings import BootstrapSettings, RouterSettings

pytestmark = pytest.mark.integration
GOLDEN = Path(__file__).parent / "golden"
SETTINGS: dict[str, type[BaseAppSettings]] = {
    "operator": ClusterOperatorSettings,
    "identity": ControlPlaneSettings,
    "router": RouterSettings,
    "analytics": AnalyticsSettings,
    "inference": InferenceSettings,
}


def rendered(*settings: str, case: str = "small") -> list[render.Object]:
    return render.objects(render.template(render.PLATFORM, *render.arguments(case, *settings)))


def config(found: list[render.Object], component: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(render.named(found, "ConfigMap", component)["data"]["config.json"])
    return content


def pods(found: list[render.Object]) -> dict[str, dict[str, Any]]:
    """Pod templates of everything that makes pods, by its name."""
    return {
        item["metadata"]["name"]: item["spec"]["template"] for item in found if item["kind"] in ("Deployment", "Job")
    }


@pytest.mark.parametrize("case", ["small", "production"])
def test_golden(case: str) -> None:
    text, expected = render.template(render.PLATFORM, *render.arguments(case)), GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text)
    assert render.objects(text) == render.objects(expected.read_text())


@pytest.mark.parametrize("case", render.VALUES)
def test_lint(case: str) -> None:
    check.lint(render.PLATFORM, *render.arguments(case))


def test_lint_of_the_crds() -> None:
    check.lint(render.CRDS)


@pytest.mark.parametrize("component", SETTINGS)
def test_each_setting_exists_and_is_accepted(component: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown settings are ignored by the processes, so a misspelt one would go unnoticed."""
    content = config(rendered(), component)
    assert set(content) <= set(SETTINGS[component].model_fields)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(content))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    settings = SETTINGS[component]()
    assert {name: getattr(settings, name) for name in ("environment", "service_version")} == {
        "environment": "prod",
        "service_version": "0.1.0",
    }


def test_the_bootstrap_is_accepted_and_meets_the_process_beside_it() -> None:
    found = rendered()
    (init,) = pods(found)["router"]["spec"]["initContainers"]
    document = json.loads(init["args"][3])
    assert set(document) <= set(BootstrapSettings.model_fields)
    settings, xds = BootstrapSettings.model_validate(document), config(found, "router")
    assert str(settings.xds_socket) == xds["xds_socket"]
    assert settings.jwks_port == xds["http_port"]
    assert settings.otlp_port is None
    traced = rendered("monitoring.otlp.host=collector.voicehelper-monitoring.svc.cluster.local")
    document = json.loads(pods(traced)["router"]["spec"]["initContainers"][0]["args"][3])
    assert document["otlp_port"] == 4317


def test_the_operator_is_told_where_the_platform_and_the_stores_are() -> None:
    content = config(
        rendered("stores.postgres.peers[0].cidr=10.0.0.7/32", "stores.postgres.peers[0].ports[0]=5432"), "operator"
    )
    assert content["kubernetes"]["stores"]["postgres"] == [{"cidr": "10.0.0.7/32", "ports": [5432]}]
    assert set(content["kubernetes"]["stores"]) == {"postgres", "kafka", "milvus", "objects", "provider"}
    assert content["kubernetes"]["namespace"] == render.NAMESPACE
    assert content["identity_address"] == "identity.voicehelper-prod.svc.cluster.local:9090"
    assert content["jwks_url"] == "http://identity.voicehelper-prod.svc.cluster.local:8080/.well-known/jwks.json"
    assert content["router_url"] == "http://router.voicehelper-prod.svc.cluster.local"


def test_settings_are_laid_over_what_the_chart_says() -> None:
    content = config(
        rendered("operator.settings.workers=9", "operator.settings.kubernetes.dns.ports[0]=5353"), "operator"
    )
    assert content["workers"] == 9
    assert content["kubernetes"]["dns"]["ports"] == [5353]
    assert content["kubernetes"]["namespace"] == render.NAMESPACE


@pytest.mark.parametrize(
    ("setting", "image", "release"),
    [
        ("image.tag=1.2.3", "voicehelper:1.2.3", "1.2.3"),
        (f"image.digest=sha256:{'0' * 64}", f"voicehelper@sha256:{'0' * 64}", f"sha256:{'0' * 64}"),
    ],
)
def test_the_release_of_cells_is_the_platforms_image(setting: str, image: str, release: str) -> None:
    found = rendered(setting)
    assert config(found, "operator")["release"] == release
    for template in pods(found).values():
        containers = [*template["spec"]["containers"], *template["spec"].get("initContainers", ())]
        assert {container["image"] for container in containers} == {image}


@pytest.mark.parametrize("case", render.VALUES)
def test_the_parts_have_the_names_and_labels_that_others_rely_on(case: str) -> None:
    found = rendered(case=case)
    services = {item["metadata"]["name"]: item["spec"] for item in found if item["kind"] == "Service"}
    assert {name: [port["port"] for port in service["ports"]] for name, service in services.items()} == {
        "operator": [8080, 9443],
        "identity": [8080, 9090],
        "router": [80],
        "routers": [8081],
        "analytics": [8080, 9090],
        "inference": [8080, 9090],
        **({"metrics-adapter": [443, 8080]} if case == "production" else {}),
    }
    for component in SETTINGS:
        labels = render.named(found, "Deployment", component)["spec"]["template"]["metadata"]["labels"]
        assert labels[naming.COMPONENT] == component
        assert labels[naming.PART_OF] == "voicehelper"
        assert {f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "managed-by")} <= set(labels)
        assert services[component]["selector"].items() <= labels.items()
        (budget,) = [
            item for item in found if item["kind"] == "PodDisruptionBudget" and item["metadata"]["name"] == component
        ]
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_pod_sees_its_own_keys_of_the_secret_and_only_who_asks_the_api_has_a_token() -> None:
    keys, tokens = {}, set()
    for name, template in pods(rendered()).items():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        for volume in spec["volumes"]:
            if "secret" in volume:
                keys[name] = [item["key"] for item in volume["secret"]["items"]]
        tokens |= {
            f"{name}/{container['name']}"
            for container in [*spec["containers"], *spec.get("initContainers", ())]
            for mount in container["volumeMounts"]
            if mount["name"] == "token"
        }
    assert keys == {
        "operator": ["operator.json"],
        "identity": ["identity.json", "signing-key.json"],
        "analytics": ["analytics.json"],
        "identity-migrate": ["identity.json"],
        "analytics-migrate": ["analytics.json"],
    }
    assert tokens == {"operator/operator", "identity/identity", "router/xds"}


def test_pods_are_replaced_when_their_configuration_changes_and_not_otherwise() -> None:
    before, after = pods(rendered()), pods(rendered("inference.settings.inference_threads=1"))
    assert [name for name in before if before[name] != after[name]] == ["inference"]


def test_migrations_need_nothing_that_is_not_there_yet() -> None:
    for name, template in pods(rendered()).items():
        if name.endswith("-migrate"):
            assert "serviceAccountName" not in template["spec"]
            assert "priorityClassName" not in template["spec"]
            assert [sorted(volume) for volume in template["spec"]["volumes"]] == [
                ["name", "secret"],
                ["emptyDir", "name"],
            ]


def test_production_has_the_founding_numbers() -> None:
    found = rendered(case="production")
    for component in ("identity", "router"):
        scaler = render.named(found, "HorizontalPodAutoscaler", component)["spec"]
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 20)
        targets = {
            item["resource"]["name"]: item["resource"]["target"]["averageUtilization"] for item in scaler["metrics"]
        }
        assert targets == {"cpu": 70, "memory": 80}
        assert "replicas" not in render.named(found, "Deployment", component)["spec"], "it would be set back"
    for component in ("operator", "inference"):
        assert render.named(found, "Deployment", component)["spec"]["replicas"] == 3
    resources = render.named(found, "Deployment", "identity")["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    assert render.named(found, "ResourceQuota", "voicehelper")["spec"]["hard"] == {
        "requests.cpu": "100", "requests.memory": "200Gi", "limits.cpu": "200", "limits.memory": "400Gi", "pods": "500",
    }  # fmt: skip


def test_production_makes_the_founding_namespaces_beside_its_own() -> None:
    found = {item["metadata"]["name"]: item["metadata"] for item in rendered(case="production") if is_namespace(item)}
    assert {render.NAMESPACE, *found} == {
        "voicehelper-prod", "voicehelper-staging", "voicehelper-dev", "voicehelper-monitoring", "istio-system",
    }  # fmt: skip
    for metadata in found.values():
        assert metadata["labels"]["pod-security.kubernetes.io/enforce"]
        assert metadata["annotations"]["helm.sh/resource-policy"] == "keep"


def is_namespace(item: render.Object) -> bool:
    return bool(item["kind"] == "Namespace")


def test_production_keeps_its_quota_at_full_scale() -> None:
    """Where a namespace has a quota, a container without an amount makes no pod at all."""
    found = rendered(case="production")
    scaled = {
        item["metadata"]["name"]: item["spec"]["maxReplicas"]
        for item in found
        if item["kind"] == "HorizontalPodAutoscaler"
    }
    count, sums = 0, dict.fromkeys(("requests.cpu", "requests.memory", "limits.cpu", "limits.memory"), 0.0)
    for item in found:
        if item["kind"] not in ("Deployment", "Job"):
            continue
        pod = item["spec"]["template"]["spec"]
        # And one more of each while it is replaced.
        replicas = scaled.get(item["metadata"]["name"], item["spec"].get("replicas", 1)) + 1
        count += replicas
        for name in sums:
            bound, resource = name.split(".")
            together = sum(amount(one["resources"][bound][resource]) for one in pod["containers"])
            first = max((amount(one["resources"][bound][resource]) for one in pod.get("initContainers", ())), default=0)
            sums[name] += replicas * max(together, first)
    hard = render.named(found, "ResourceQuota", "voicehelper")["spec"]["hard"]
    assert count <= int(hard["pods"])
    assert {name: sums[name] <= amount(hard[name]) for name in sums} == dict.fromkeys(sums, True)


def amount(text: str | int) -> float:
    """Cores, or MiB."""
    units = {"m": 1e-3, "Mi": 1, "Gi": 1024}
    unit = next((name for name in units if str(text).endswith(name)), "")
    return float(str(text).removesuffix(unit)) * units.get(unit, 1)


def test_small_fits_beside_two_cells_on_two_cores() -> None:
    """Requests of all pods and of the largest step, in thousandths of a core and MiB."""
    cpu, memory = [], []
    for name, template in pods(rendered()).items():
        if not name.endswith("-migrate"):
            for container in template["spec"]["containers"]:
                asked = container["resources"]["requests"]
                cpu.append(int(asked["cpu"].removesuffix("m")))
                memory.append(int(asked["memory"].removesuffix("Mi")))
    cells = 2 * 2  # each with one pod more during a change of its release
    assert sum(cpu) + cells * 250 <= 2000 - 200, "200m are left for DNS and the like"
    assert sum(memory) + cells * 256 <= 8192 - 1024


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("identity.replica=3", "replica"),
        ("stores.postgress.host=db", "postgress"),
        ("router.service.typ=LoadBalancer", "typ"),
        ("image.digest=latest", "digest"),
        ("stores.kafka.peers[0].cidr=10.0.0.1/32", "ports"),
        ("analytics.replicas=2", "replicas"),
        ("logLevel=LOUD", "logLevel"),
    ],
)
def test_values_that_are_not_known_are_refused_by_name(setting: str, named: str) -> None:
    with pytest.raises(Failure, match=named):
        rendered(setting)


def test_an_older_kubernetes_gets_no_admission_policy_and_too_old_a_one_nothing() -> None:
    kinds = [item["kind"] for item in render.objects(render.template(render.PLATFORM, "--kube-version", "1.28.0"))]
    assert "ValidatingAdmissionPolicy" not in kinds
    assert "Deployment" in kinds
    with pytest.raises(Failure, match="kubeVersion"):
        render.template(render.PLATFORM, "--kube-version", "1.27.9")
