"""Who reaches whom: the chart's NetworkPolicies and a cell's together, as a network that keeps them would decide.

Evaluated by ``voicehelper_e2e.network_policies``, since the API server has no network.
"""

from __future__ import annotations

import json

import pytest
from voicehelper_e2e.charts import render
from voicehelper_e2e.network_policies.evaluate import Cluster
from voicehelper_e2e.network_policies.policies import Pod, Policy
from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import manifests, naming
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

pytestmark = pytest.mark.integration
WORLD, API_SERVER = "203.0.113.9", "192.0.2.1"
CELL_ID = "a1b2c3d4e5f6"
HOME = naming.namespace(CELL_ID)
ADDRESSES = iter(f"10.0.0.{number}" for number in range(1, 250))


def pod(namespace: str, name: str, **labels: str) -> Pod:
    return Pod(namespace, name, next(ADDRESSES), labels)


def part(component: str) -> Pod:
    labels = {"name": "voicehelper", "instance": render.RELEASE, "component": component}
    return pod(render.NAMESPACE, component, **{f"app.kubernetes.io/{key}": value for key, value in labels.items()})


PARTS = {
    name: part(name)
    for name in ("operator", "identity", "router", "analytics", "inference", "identity-migrate", "analytics-migrate")
}
OUTSIDE = {
    "cell": pod(HOME, "cell", **naming.selector(CELL_ID, "cell")),
    "step": pod(HOME, "step", **naming.selector(CELL_ID, "step")),
    "prometheus": pod("voicehelper-monitoring", "prometheus"),
    "dns": pod("kube-system", "dns", **{"k8s-app": "kube-dns"}),
    **{
        name: pod("voicehelper-stores", name, **{"app.kubernetes.io/name": name})
        for name in ("postgres", "kafka", "milvus")
    },
    "stranger": pod("somewhere", "stranger"),
}
PODS: dict[str, Pod | str] = {**PARTS, **OUTSIDE, "world": WORLD, "api": API_SERVER}
PORTS = {"postgres": 5432, "kafka": 9092, "milvus": 19530, "dns": 53, "api": 6443, "world": 443}
"""Of what is not ours; ours are asked at each of their ports."""
NAMESPACES = {
    render.NAMESPACE: {},
    HOME: {naming.CELL: CELL_ID},
    "voicehelper-monitoring": {},
    "voicehelper-stores": {},
    "kube-system": {},
    "somewhere": {},
}

EXPECTED = {
    "operator": "identity:9090 router:8080 router:8081 postgres kafka milvus dns api",
    "identity": "operator:8080 postgres dns api",
    "router": "identity:8080 cell:8080 cell:9090 dns api",
    "analytics": "identity:8080 postgres kafka dns",
    "inference": "",
    "identity-migrate": "postgres dns",
    "analytics-migrate": "postgres dns",
    "cell": "identity:8080 identity:9090 inference:9090 analytics:9090 postgres kafka milvus dns",
    "step": "postgres dns",
    "prometheus": ("operator:8080 identity:8080 router:8080 router:8081 analytics:8080 inference:8080 cell:8080"),
    "api": "operator:9443 router:8080",
    "stranger": "router:8080",
    "world": "router:8080",
}
OPEN = {"prometheus", "stranger", "world", "api"}
"""No policy of ours says what these may call: only what lets them in counts."""


@pytest.fixture(scope="module")
def network() -> Cluster:
    found = render.objects(
        render.template(
            render.PLATFORM,
            *render.arguments("small", "apiServer.peers[0].cidr=192.0.2.1/32", "apiServer.peers[0].ports[0]=6443"),
        )
    )
    config = json.loads(render.named(found, "ConfigMap", "operator")["data"]["config.json"])
    cell = manifests.of_space(WorkloadSpec(CELL_ID, "1", {}), KubernetesSettings(**config["kubernetes"]))
    policies = [Policy.of(item) for item in (*found, *cell) if item["kind"] == "NetworkPolicy"]
    return Cluster({name: {"kubernetes.io/metadata.name": name, **more} for name, more in NAMESPACES.items()}, policies)


@pytest.mark.parametrize("source", EXPECTED)
def test_who_reaches_whom(source: str, network: Cluster) -> None:
    reached = set()
    for name, target in PODS.items():
        if name == source or (source in OPEN and name in {*PORTS, *OPEN}):
            continue
        for port in [PORTS[name]] if name in PORTS else [8080, 8081, 9090, 9443, 15000]:
            if network.allowed(PODS[source], target, port):
                reached.add(name if name in PORTS else f"{name}:{port}")
    assert reached == set(EXPECTED[source].split())


def test_the_router_can_be_closed_to_all_but_some() -> None:
    arguments = render.arguments("small", "networkPolicies.routerFrom[0].ipBlock.cidr=198.51.100.0/24")
    found = render.objects(render.template(render.PLATFORM, *arguments))
    policies = [Policy.of(item) for item in found if item["kind"] == "NetworkPolicy"]
    world = Cluster(
        {name: {"kubernetes.io/metadata.name": name, **more} for name, more in NAMESPACES.items()}, policies
    )
    assert world.allowed("198.51.100.7", PARTS["router"], 8080)
    assert world.allowed(PARTS["operator"], PARTS["router"], 8080), "its probes"
    assert not world.allowed(WORLD, PARTS["router"], 8080)
