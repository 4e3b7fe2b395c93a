"""What runs in a cell: one component with all services, or one a service."""

from __future__ import annotations

from dataclasses import dataclass, replace

from voicehelper_core.call_graph import SERVICES, Need, callees, callers

from voicehelper_operator.workloads.interface import WorkloadSpec

HTTP, GRPC, PROBE = 8080, 9090, 9091


@dataclass(frozen=True, slots=True)
class Component:
    """A deployment of a cell."""

    name: str
    service: str
    """Of an expanded cell; empty for all of them."""
    needs: frozenset[Need]
    """Stores and parts of the platform that it speaks to."""
    callers: frozenset[str] = frozenset()
    """Components of the cell that call it."""
    callees: frozenset[str] = frozenset()
    """Components of the cell that it calls."""
    entered_by_router: bool = False
    tried: bool = False
    """Whether it is the release that is tried beside the one that serves."""

    @property
    def command(self) -> tuple[str, ...]:
        """Arguments of the image's Python."""
        return ("-m", "voicehelper_cell", "serve", *((self.service,) if self.service else ()))

    @property
    def probe(self) -> int:
        """Port of ``grpc.health.v1`` for a kubelet, which shows no certificate."""
        return PROBE if self.service else GRPC

    @property
    def file(self) -> str:
        """Name of its settings in the cell's Secret."""
        if self.tried:
            return "canary.json"
        return f"{self.service}.json" if self.service else "config.json"


def name_of(service: str) -> str:
    """Of a service's component: names of objects have no underscores."""
    return service.replace("_", "-")


_COMPACT = (Component("cell", "", frozenset(Need), entered_by_router=True),)
_EXPANDED = tuple(
    Component(
        name_of(service),
        service,
        about.needs,
        frozenset(map(name_of, callers(service))),
        frozenset(map(name_of, callees(service))),
        entered_by_router=about.contract is None,
    )
    for service, about in SERVICES.items()
)
TOPOLOGIES = {"compact": _COMPACT, "expanded": _EXPANDED}
CANARY = replace(_COMPACT[0], name="canary", tried=True)
"""What a release is tried in, beside a compact cell. The services of an expanded one call each other by name: those of
a second set would need names, certificates and policies of their own (ADR 25)."""
CANARIES = frozenset({"compact"})
"""Topologies beside which a release can be tried."""


def components(topology: str) -> tuple[Component, ...]:
    """Of a topology."""
    return TOPOLOGIES[topology]


def canary(spec: WorkloadSpec) -> WorkloadSpec | None:
    """What runs beside a cell: a release that is tried, or was and still may have requests."""
    return (spec.tried or spec.leaving) if spec.topology in CANARIES else None


def running(spec: WorkloadSpec) -> list[tuple[Component, WorkloadSpec]]:
    """All components of a cell, each with the release and the settings that it runs with."""
    beside = canary(spec)
    return [*((part, spec) for part in components(spec.topology)), *([(CANARY, beside)] if beside else [])]


def entry(topology: str) -> str:
    """Name of the component that the router reaches."""
    return next(part.name for part in components(topology) if part.entered_by_router)
