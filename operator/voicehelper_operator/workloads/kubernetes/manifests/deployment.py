"""What runs a component of a cell: its Deployment, the Service in front, the budget of disruptions."""

from __future__ import annotations

from typing import Any

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.components import GRPC, HTTP, PROBE, Component
from voicehelper_operator.workloads.kubernetes.manifests import pod
from voicehelper_operator.workloads.kubernetes.manifests.credentials import checksum, items
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

_LEAVING_SECONDS = 3
"""Between the news that a pod goes and its end, so that nobody sends it a new connection."""
_STOP_SECONDS = 30


def render(
    spec: WorkloadSpec, settings: KubernetesSettings, component: Component, secret: Manifest, replicas: int | None
) -> list[Manifest]:
    """Service first: its address is the cell's endpoint. ``replicas`` None leaves them to an autoscaler."""
    name = component.name
    chosen = naming.selector(spec.cell_id, name)
    service = {
        "type": "ClusterIP",
        "selector": chosen,
        "ports": [_port("http", HTTP, "http"), _port("grpc", GRPC, "kubernetes.io/h2c")],
    }
    deployed = {
        **({} if replicas is None else {"replicas": replicas}),
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 300,
        "selector": {"matchLabels": chosen},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": pod.template(
            spec,
            settings,
            secret=secret["metadata"]["name"],
            items=items(component),
            container=_container(component),
            labels=naming.labels(spec.cell_id, spec.cell, name),
            annotations={naming.CONFIG: checksum(secret, component)},
            terminationGracePeriodSeconds=_STOP_SECONDS,
            topologySpreadConstraints=[
                _spread(key, chosen) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
            ],
        ),
    }
    # A single replica has to be evictable, or its node can never be drained.
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": chosen}}
    return [
        manifest("v1", "Service", spec, name, name, spec=service),
        manifest("policy/v1", "PodDisruptionBudget", spec, name, name, spec=budget),
        manifest("apps/v1", "Deployment", spec, name, name, spec=deployed),
    ]


def _port(name: str, number: int, protocol: str) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", "appProtocol": protocol}


def _spread(key: str, chosen: dict[str, str]) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": chosen},
    }


def _container(component: Component) -> dict[str, Any]:
    ready = {"grpc": {"port": component.probe}}
    # Not gRPC's health, which is that of the stores too: a restart mends no store.
    alive = {"httpGet": {"path": "/healthz", "port": "http"}}
    return {
        "name": component.name,
        "args": list(component.command),
        "ports": [
            {"name": "http", "containerPort": HTTP, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC, "protocol": "TCP"},
            *([{"name": "probe", "containerPort": PROBE, "protocol": "TCP"}] if component.service else []),
        ],
        # A start is looked at each second: a cell that wakes has a request waiting. The delays of the founding numbers
        # (30 s and 10 s) would be added to each; their periods hold from then on.
        "startupProbe": {**ready, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 300},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2},
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "lifecycle": {
            "preStop": {"exec": {"command": ["python3.11", "-c", f"import time; time.sleep({_LEAVING_SECONDS})"]}}
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
