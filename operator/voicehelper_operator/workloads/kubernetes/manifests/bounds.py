"""What a cell may use at most: of the whole namespace, and of one container that says nothing."""

from __future__ import annotations

from voicehelper_operator.workloads.interface import Size, WorkloadSpec
from voicehelper_operator.workloads.kubernetes.components import running
from voicehelper_operator.workloads.kubernetes.manifests import quantities
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest

_SHARE = 4
"""Requests are a quarter of the limits, as in the founding numbers (500m of 2000m, 512Mi of 2Gi)."""
_SPARE_PODS = 2
"""A pod of the new release beside the old ones (of each service), and a step such as a migration."""


def resources(size: Size) -> dict[str, dict[str, str]]:
    """Of a component's container."""
    cpu, memory = quantities.milli_cpu(size.cpu), quantities.mebibytes(size.memory)
    return {
        "limits": {"cpu": quantities.cpu(cpu), "memory": quantities.memory(memory)},
        "requests": {
            "cpu": quantities.cpu(max(1, cpu // _SHARE)),
            "memory": quantities.memory(max(1, memory // _SHARE)),
        },
    }


def render(spec: WorkloadSpec) -> list[Manifest]:
    """ResourceQuota and LimitRange."""
    size, count = spec.size, len(running(spec))
    replicas, spare = (size.replicas, 0) if spec.topology == "compact" else (size.most_replicas, count)
    pods = count * replicas + spare + _SPARE_PODS
    cpu, memory = quantities.milli_cpu(size.cpu), quantities.mebibytes(size.memory)
    hard = {
        "pods": str(pods),
        "requests.cpu": quantities.cpu(max(1, cpu // _SHARE) * pods),
        "requests.memory": quantities.memory(max(1, memory // _SHARE) * pods),
        "limits.cpu": quantities.cpu(cpu * pods),
        "limits.memory": quantities.memory(memory * pods),
        "services.nodeports": "0",
        "services.loadbalancers": "0",
        "persistentvolumeclaims": "0",
    }
    own = resources(size)
    limit = {
        "type": "Container",
        "max": own["limits"],
        "default": own["limits"],
        "defaultRequest": own["requests"],
    }
    return [
        manifest("v1", "ResourceQuota", spec, "voicehelper-cell", spec={"hard": hard}),
        manifest("v1", "LimitRange", spec, "voicehelper-cell", spec={"limits": [limit]}),
    ]
