"""How many replicas a component of an expanded cell has: as many as its load asks for.

CPU and memory come from ``metrics.k8s.io`` (a metrics-server, where the cluster has one), requests from the adapter
(``metrics_adapter``); the largest number wins. An autoscaler never scales down while one of its metrics cannot be had
(https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/), so it has only those that are served.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from voicehelper_operator.metrics_adapter.documents import METRIC
from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes.manifests import quantities
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest

_PERCENT = {"cpu": 70, "memory": 80}
ALL = (*_PERCENT, "requests")


def render(spec: WorkloadSpec, component: str, served: Collection[str] = ALL) -> Manifest:
    """Of the Deployment of that name, whose own number of replicas is nobody else's to say any more.

    ``served``: the metrics that can be had, of ``ALL``, at least one.
    """
    content = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": component},
        "minReplicas": spec.size.replicas,
        "maxReplicas": max(spec.size.replicas, spec.size.most_replicas),
        "metrics": [
            *(_resource(name, percent) for name, percent in _PERCENT.items() if name in served),
            *([_requests(spec)] if "requests" in served else []),
        ],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [_policy("Percent", 100, 15), _policy("Pods", 4, 15)],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 300,
                "selectPolicy": "Max",
                "policies": [_policy("Percent", 50, 60)],
            },
        },
    }
    return manifest("autoscaling/v2", "HorizontalPodAutoscaler", spec, component, component, spec=content)


def _resource(name: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def _requests(spec: WorkloadSpec) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": quantities.number(spec.size.requests_per_second)}
    return {"type": "Pods", "pods": {"metric": {"name": METRIC}, "target": target}}


def _policy(kind: str, value: int, seconds: int) -> dict[str, Any]:
    return {"type": kind, "value": value, "periodSeconds": seconds}
