"""What runs in a cell: one component with all services, or one a service."""

from __future__ import annotations

from dataclasses import dataclass

HTTP, GRPC = 8080, 9090


@dataclass(frozen=True, slots=True)
class Component:
    """A deployment of a cell."""

    name: str
    command: tuple[str, ...]
    """Arguments of the image's Python."""
    needs: tuple[str, ...]
    """Stores and parts of the platform that it speaks to."""
    entered_by_router: tuple[int, ...] = ()
    """Ports that the router may reach."""


CELL = Component(
    "cell",
    ("-m", "voicehelper_cell", "serve"),
    ("postgres", "kafka", "milvus", "objects", "provider", "identity", "inference", "analytics"),
    (HTTP, GRPC),
)


def components(topology: str) -> tuple[Component, ...]:
    """Of a topology."""
    if topology != "compact":
        raise ValueError(f"topology '{topology}' is not known")
    return (CELL,)
