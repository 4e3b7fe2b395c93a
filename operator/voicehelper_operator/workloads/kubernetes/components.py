"""What runs in a cell: one component with all services, or one a service."""

from __future__ import annotations

from dataclasses import dataclass

from voicehelper_core.call_graph import SERVICES, Need, callees, callers

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


def components(topology: str) -> tuple[Component, ...]:
    """Of a topology."""
    return TOPOLOGIES[topology]


def entry(topology: str) -> str:
    """Name of the component that the router reaches."""
    return next(part.name for part in components(topology) if part.entered_by_router)
