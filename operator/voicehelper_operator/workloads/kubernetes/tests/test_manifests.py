"""Whole renders of a cell, and what must hold of every one.

``UPDATE_GOLDEN=1 pytest`` writes the expected files anew; read the difference before you commit it.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_core.call_graph import SERVICES

from voicehelper_operator.workloads.interface import ServiceConfig, Size, WorkloadSpec
from voicehelper_operator.workloads.kubernetes.conform import lacking
from voicehelper_operator.workloads.kubernetes.manifests import autoscaler, of_cell, of_space, quantities
from voicehelper_operator.workloads.kubernetes.manifests.bounds import resources
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings, Peer

GOLDEN = Path(__file__).parent / "golden"
CELL = "cabcdefghij1"
SETTINGS = KubernetesSettings(
    image_repository="registry.example/voicehelper",
    stores={
        "postgres": [Peer(cidr="192.0.2.10/32", ports=[5432])],
        "kafka": [Peer(namespace="kafka", labels={"app": "kafka"}, ports=[9092])],
        "milvus": [Peer(namespace="milvus", ports=[19530])],
    },
)
SPECS = {
    "shared": WorkloadSpec(
        CELL, "r1", {"cell_id": CELL, "postgres_dsn": "postgresql://c:secret@192.0.2.10/v"}, cell="shared-1"
    ),
    "dedicated": WorkloadSpec(
        CELL,
        "sha256:" + "a" * 64,
        {"cell_id": CELL, "postgres_dsn": "postgresql://c:secret@192.0.2.10/v"},
        cell="globex",
        size=Size("4", "4Gi", 3, "voicehelper-dedicated"),
    ),
    "canary": WorkloadSpec(
        CELL,
        "r1",
        {"cell_id": CELL, "release": "r1", "postgres_dsn": "postgresql://c:secret@192.0.2.10/v"},
        cell="shared-1",
        size=Size(replicas=2),
        tried=WorkloadSpec(
            CELL,
            "r2",
            {"cell_id": CELL, "release": "r2", "postgres_dsn": "postgresql://c:secret@192.0.2.10/v"},
            cell="shared-1",
            size=Size(replicas=2),
        ),
    ),
    "expanded": WorkloadSpec(
        CELL,
        "r1",
        {},
        cell="hooli",
        topology="expanded",
        size=Size("1", "512Mi", 3),
        services={
            name: ServiceConfig(
                {"postgres_dsn": f"postgresql://{name}:secret@192.0.2.10/v"},
                {file: f"{name}'s {file}" for file in ("ca.crt", "tls.crt", "tls.key")},
            )
            for name in SERVICES
        },
    ),
}


@pytest.mark.parametrize("case", SPECS)
def test_golden(case):
    shown = yaml.safe_dump_all(of_cell(SPECS[case], SETTINGS), sort_keys=False)
    expected = GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(shown)
    assert shown == expected.read_text()


def test_a_service_sees_its_own_files_only():
    for manifest in of_cell(SPECS["expanded"], SETTINGS):
        if manifest["kind"] == "Deployment":
            service = manifest["metadata"]["name"].replace("-", "_")
            (config,) = [v for v in manifest["spec"]["template"]["spec"]["volumes"] if v["name"] == "config"]
            assert {item["key"].partition(".")[0] for item in config["secret"]["items"]} == {service}


def test_the_walls_come_before_anything_that_runs():
    kinds = [manifest["kind"] for manifest in of_cell(SPECS["shared"], SETTINGS)]
    assert kinds[0] == "Namespace"
    assert kinds.index("Deployment") > max(index for index, kind in enumerate(kinds) if kind == "NetworkPolicy")
    assert {"Deployment", "Secret"}.isdisjoint(manifest["kind"] for manifest in of_space(SPECS["shared"], SETTINGS))


def named(manifests, kind):
    return {item["metadata"]["name"]: item for item in manifests if item["kind"] == kind}


def test_what_serves_is_not_touched_by_what_is_tried_beside_it():
    tried, alone = (of_cell(spec, SETTINGS) for spec in (SPECS["canary"], replace(SPECS["canary"], tried=None)))
    for before in alone:
        kind = before["kind"]
        after = named(tried, kind)[before["metadata"]["name"]]
        if kind == "Secret":
            assert before["data"].items() < after["data"].items()
        elif kind == "ResourceQuota":
            assert (before["spec"]["hard"]["pods"], after["spec"]["hard"]["pods"]) == ("4", "6")
        else:
            assert before == after
    assert len(tried) == len(alone) + 4, "a Deployment, its Service, what bounds its disruptions and its connections"


def test_what_is_tried_may_do_what_serves_may_and_is_told_its_own_release():
    manifests = of_cell(SPECS["canary"], SETTINGS)
    for kind in ("NetworkPolicy", "Service", "PodDisruptionBudget", "Deployment"):
        pair = [json.dumps(named(manifests, kind)[name]) for name in ("cell", "canary")]
        as_serves = pair[1].replace('"canary"', '"cell"')
        if kind == "Deployment":
            assert "registry.example/voicehelper:r2" in as_serves
            as_serves = as_serves.replace(":r2", ":r1").replace("canary.json", "config.json")
            for name in ("canary", "cell"):
                config = named(manifests, kind)[name]["spec"]["template"]["metadata"]["annotations"]
                as_serves, pair[0] = (text.replace(*[*config.values(), ""]) for text in (as_serves, pair[0]))
        assert as_serves == pair[0]
    (secret,) = named(manifests, "Secret").values()
    told = {name: json.loads(base64.b64decode(data))["release"] for name, data in secret["data"].items()}
    assert told == {"config.json": "r1", "canary.json": "r2"}


def test_what_leaves_is_as_it_was_while_it_was_tried():
    spec = SPECS["canary"]
    leaving = replace(spec.tried, leaving=spec.tried)
    before, after = (named(of_cell(item, SETTINGS), "Deployment")["canary"] for item in (spec, leaving))
    assert before == after


def test_nothing_is_tried_beside_services_that_call_each_other():
    expanded = replace(SPECS["expanded"], tried=SPECS["expanded"])
    assert of_cell(expanded, SETTINGS) == of_cell(SPECS["expanded"], SETTINGS)


def test_credentials_are_in_the_secret_only():
    manifests = of_cell(SPECS["shared"], SETTINGS)
    (secret,) = [manifest for manifest in manifests if manifest["kind"] == "Secret"]
    config = json.loads(base64.b64decode(secret["data"]["config.json"]))
    assert "secret" in config["postgres_dsn"]
    rest = [manifest for manifest in manifests if manifest["kind"] != "Secret"]
    assert "c:secret@" not in json.dumps(rest)


def test_new_credentials_replace_the_pods():
    def annotation(password):
        spec = WorkloadSpec(CELL, "r1", {"postgres_dsn": password})
        (deployment,) = [item for item in of_cell(spec, SETTINGS) if item["kind"] == "Deployment"]
        return deployment["spec"]["template"]["metadata"]["annotations"]

    assert annotation("one") == annotation("one")
    assert annotation("one") != annotation("two")


def test_asleep_nothing_runs_and_the_rest_is_the_same():
    awake, asleep = (of_cell(SPECS["dedicated"], SETTINGS, asleep=state) for state in (False, True))
    (different,) = [(one, other) for one, other in zip(awake, asleep, strict=True) if one != other]
    assert different[1]["kind"] == "Deployment"
    assert different[1]["spec"]["replicas"] == 0
    assert different[0]["spec"] | {"replicas": 0} == different[1]["spec"]


@given(st.integers(1, 64_000), st.integers(1, 512 * 1024))
def test_quantities_survive(milli, mebi):
    assert quantities.milli_cpu(quantities.cpu(milli)) == milli
    assert quantities.mebibytes(quantities.memory(mebi)) == mebi


@pytest.mark.parametrize(("given_", "written"), [("0.5", "500m"), ("1000m", "1"), ("2", "2"), ("1.25", "1250m")])
def test_cpu_is_written_as_the_api_server_does(given_, written):
    assert resources(Size(cpu=given_))["limits"]["cpu"] == written


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_what_is_there_as_wanted_lacks_nothing(wanted):
    assert lacking(wanted, json.loads(json.dumps(wanted))) is None


@given(st.dictionaries(st.sampled_from("abcd"), JSON, min_size=1, max_size=3), st.data())
def test_a_changed_field_is_found_and_an_added_one_is_not(wanted, data):
    found = json.loads(json.dumps(wanted))
    found["added by others"] = 1
    assert lacking(wanted, found) is None
    key = data.draw(st.sampled_from(sorted(wanted)))
    found[key] = "changed" if wanted[key] != "changed" else "otherwise"
    if wanted[key] not in ([], {}):
        assert lacking(wanted, found) is not None


def test_containers_that_others_add_are_theirs():
    wanted = {"containers": [{"name": "cell", "image": "a"}]}
    found = {"containers": [{"name": "sidecar"}, {"name": "cell", "image": "a", "imagePullPolicy": "Always"}]}
    assert lacking(wanted, found) is None
    assert lacking({"containers": [{"name": "cell", "image": "b"}]}, found) == ".containers[cell].image"


def test_the_autoscaler_has_the_founding_numbers():
    spec = autoscaler.render(SPECS["dedicated"], "web")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"], spec["scaleTargetRef"]["name"]) == (3, 20, "web")
    cpu, memory, requests = spec["metrics"]
    assert cpu["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    assert memory["resource"] == {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert requests["pods"]["metric"] == {"name": "http_requests_per_second"}
    assert requests["pods"]["target"] == {"type": "AverageValue", "averageValue": "1k"}
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert (up["stabilizationWindowSeconds"], up["selectPolicy"]) == (0, "Max")
    assert [tuple(policy.values()) for policy in up["policies"]] == [("Percent", 100, 15), ("Pods", 4, 15)]
    assert down["stabilizationWindowSeconds"] == 300
    assert [tuple(policy.values()) for policy in down["policies"]] == [("Percent", 50, 60)]


@pytest.mark.parametrize(
    ("wanted", "written"), [(5, "5"), (1000, "1k"), (1500, "1500"), (20_000, "20k"), (1_000_000, "1M")]
)
def test_a_class_says_how_many_requests_a_replica_takes(wanted, written):
    spec = autoscaler.render(replace(SPECS["dedicated"], size=Size(requests_per_second=wanted)), "web")["spec"]
    assert spec["metrics"][2]["pods"]["target"]["averageValue"] == written


def test_an_autoscaler_looks_at_what_is_served_only():
    shown = autoscaler.render(SPECS["dedicated"], "web", ["memory"])["spec"]["metrics"]
    assert [item["resource"]["name"] for item in shown] == ["memory"]
    (requests,) = autoscaler.render(SPECS["dedicated"], "web", ["requests"])["spec"]["metrics"]
    assert requests["type"] == "Pods"


def test_without_metrics_replicas_are_as_many_as_the_class_says():
    made = of_cell(SPECS["expanded"], KubernetesSettings(autoscaler_metrics=[]))
    assert "HorizontalPodAutoscaler" not in {item["kind"] for item in made}
    assert {item["spec"]["replicas"] for item in made if item["kind"] == "Deployment"} == {3}


def test_an_autoscaler_never_asks_for_less_than_its_least():
    size = Size(replicas=5, most_replicas=2)
    spec = autoscaler.render(replace(SPECS["dedicated"], size=size), "web")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (5, 5)
