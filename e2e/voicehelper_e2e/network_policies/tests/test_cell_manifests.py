"""The policies of an expanded cell, judged by the oracle."""

from __future__ import annotations

from voicehelper_core.call_graph import CALLERS, SERVICES
from voicehelper_e2e.network_policies.evaluate import Cluster
from voicehelper_e2e.network_policies.policies import Pod, Policy
from voicehelper_operator.workloads.interface import ServiceConfig, WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.manifests import of_cell
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

CELL = "cabcdefghij1"
_FILES = {"ca.crt": "", "tls.crt": "", "tls.key": ""}
SPEC = WorkloadSpec(
    CELL, "r1", {}, topology="expanded", services={name: ServiceConfig({}, _FILES) for name in SERVICES}
)


def test_services_reach_each_other_by_the_call_graph_and_no_other_way():
    """By the oracle of NetworkPolicies, from the manifests as they are applied."""
    namespace = f"cell-{CELL}"
    policies = [m for m in of_cell(SPEC, KubernetesSettings()) if m["kind"] == "NetworkPolicy"]
    cluster = Cluster({namespace: {"kubernetes.io/metadata.name": namespace}}, [Policy.of(item) for item in policies])
    names = {service: service.replace("_", "-") for service in SERVICES}
    pods = {
        service: Pod(namespace, name, f"10.0.0.{number}", {naming.CELL: CELL, naming.COMPONENT: name})
        for number, (service, name) in enumerate(names.items(), 1)
    }
    for one in SERVICES:
        for other, about in SERVICES.items():
            if one != other:
                wanted = about.contract is not None and one in CALLERS[about.contract]
                assert cluster.allowed(pods[one], pods[other], 9090, "TCP") is wanted, (one, other)
                assert not cluster.allowed(pods[one], pods[other], 8080, "TCP")
