"""Who may speak to whom: nobody, except for what is said here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.components import GRPC, HTTP, Component, running
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings, Peer

Rule = dict[str, Any]
_PLATFORM = {"identity": (HTTP, GRPC), "inference": (GRPC,), "analytics": (GRPC,)}
"""Parts of the platform that cells call, and their ports."""
_TRACES = (4317, 4318)
_ADAPTER = "metrics-adapter"
"""Part of the platform that reads the metrics of cells, for their autoscalers."""


def render(spec: WorkloadSpec, settings: KubernetesSettings) -> list[Manifest]:
    """One that denies, one a component that allows, one for steps."""
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return [
        manifest("networking.k8s.io/v1", "NetworkPolicy", spec, "default-deny", spec=closed),
        *(_component(spec, settings, component) for component, _ in running(spec)),
        _step(spec, settings),
    ]


def _component(spec: WorkloadSpec, settings: KubernetesSettings, component: Component) -> Manifest:
    readers = [_pods(settings.monitoring_namespace), _pods(settings.namespace, {naming.COMPONENT: _ADAPTER})]
    ingress: list[Rule] = [{"from": readers, "ports": _ports([HTTP])}]
    if component.entered_by_router:
        router = _pods(settings.namespace, {naming.COMPONENT: "router"})
        ingress.append({"from": [router], "ports": _ports([HTTP, GRPC])})
    if component.callers:
        ingress.append({"from": _own(spec, component.callers), "ports": _ports([GRPC])})
    egress = [_dns(settings), {"to": [_pods(settings.monitoring_namespace)], "ports": _ports(_TRACES)}]
    if component.callees:
        egress.append({"to": _own(spec, component.callees), "ports": _ports([GRPC])})
    for need in sorted(map(str, component.needs)):
        egress += _outside(settings, need)
    return manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec,
        component.name,
        component.name,
        spec={
            "podSelector": {"matchLabels": naming.selector(spec.cell_id, component.name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    )


def _step(spec: WorkloadSpec, settings: KubernetesSettings) -> Manifest:
    """A migration speaks to Postgres only."""
    return manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec,
        "step",
        "step",
        spec={
            "podSelector": {"matchLabels": naming.selector(spec.cell_id, "step")},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [_dns(settings), *_outside(settings, "postgres")],
        },
    )


def _outside(settings: KubernetesSettings, need: str) -> list[Rule]:
    if need in _PLATFORM:
        pods = _pods(settings.namespace, {naming.COMPONENT: need})
        return [{"to": [pods], "ports": _ports(_PLATFORM[need])}]
    return [{"to": [_peer(peer)], "ports": _ports(peer.ports)} for peer in settings.stores.get(need, ())]


def _own(spec: WorkloadSpec, names: Iterable[str]) -> list[Rule]:
    """Pods of the same cell."""
    return [{"podSelector": {"matchLabels": naming.selector(spec.cell_id, name)}} for name in sorted(names)]


def _dns(settings: KubernetesSettings) -> Rule:
    ports = [{"protocol": protocol, "port": port} for port in settings.dns.ports for protocol in ("UDP", "TCP")]
    return {"to": [_peer(settings.dns)], "ports": ports}


def _peer(peer: Peer) -> Rule:
    return {"ipBlock": {"cidr": peer.cidr}} if peer.cidr else _pods(peer.namespace, peer.labels)


def _pods(namespace: str, labels: dict[str, str] | None = None) -> Rule:
    found: Rule = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    if labels:
        found["podSelector"] = {"matchLabels": labels}
    return found


def _ports(numbers: Sequence[int]) -> list[Rule]:
    return [{"protocol": "TCP", "port": number} for number in numbers]
