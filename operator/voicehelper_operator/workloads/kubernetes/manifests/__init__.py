"""What a cell should have, as objects of Kubernetes. Pure; ``golden/`` in the tests shows whole renders."""

from __future__ import annotations

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes.components import running
from voicehelper_operator.workloads.kubernetes.manifests import (
    autoscaler,
    bounds,
    credentials,
    deployment,
    network,
    space,
)
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

__all__ = ["Manifest", "of_cell", "of_space"]


def of_space(spec: WorkloadSpec, settings: KubernetesSettings) -> list[Manifest]:
    """What has to be there before anything of the cell runs: the walls first."""
    return [
        space.namespace(spec),
        space.account(spec, settings),
        *bounds.render(spec),
        *network.render(spec, settings),
    ]


def of_cell(spec: WorkloadSpec, settings: KubernetesSettings, *, asleep: bool = False) -> list[Manifest]:
    """Everything, in the order in which it is applied; asleep, nothing runs and all else is there."""
    secret, scaled = credentials.render(spec), spec.topology == "expanded" and bool(settings.autoscaler_metrics)
    replicas = 0 if asleep else None if scaled else spec.size.replicas
    found = [*of_space(spec, settings), secret]
    for component, told in running(spec):
        found += deployment.render(told, settings, component, secret, replicas)
        if scaled:
            found.append(autoscaler.render(spec, component.name, settings.autoscaler_metrics))
    return found
