"""What a question is judged by: the other objects, and only those kinds that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from voicehelper_crds import Cell, CellClass, CellRelease, CellReleaseStrategy, Resource, Tenant, TenantPlan

from voicehelper_operator.admission.request import Request

R = TypeVar("R", bound=Resource)


class Reader(Protocol):
    """Lists resources: a ``ResourceStore``."""

    async def list(self, kind: type[R]) -> list[R]:
        """All of a kind."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What was seen. A kind that the question is not about is empty."""

    plans: Mapping[str, TenantPlan] = field(default_factory=dict)
    classes: Mapping[str, CellClass] = field(default_factory=dict)
    cells: Sequence[Cell] = ()
    tenants: Sequence[Tenant] = ()
    releases: Sequence[CellRelease] = ()
    strategies: Mapping[str, CellReleaseStrategy] = field(default_factory=dict)


def kinds(request: Request) -> frozenset[type[Resource]]:
    """The kinds that have to be looked at."""
    if request.operation == "UPDATE" and not request.spec_changed:
        return frozenset()
    match request.kind, request.operation:
        case "Tenant", "DELETE":
            return frozenset({Cell})
        case "Tenant", _:
            placement = (request.new or {}).get("spec", {}).get("placement", {})
            pinned: set[type[Resource]] = {Tenant} if placement.get("cell") else set()
            return frozenset({TenantPlan, Cell} | pinned)
        case "Cell", "CREATE" | "UPDATE":
            return frozenset({CellClass})
        case "TenantMove", "CREATE":
            return frozenset({Tenant, Cell})
        case "TenantPlan", "DELETE":
            return frozenset({Tenant})
        case "CellClass", "DELETE":
            return frozenset({Cell, TenantPlan})
        case "CellRelease", "CREATE" | "UPDATE":
            return frozenset({CellReleaseStrategy})
        case "CellReleaseStrategy", "DELETE":
            return frozenset({CellRelease})
        case _:
            return frozenset()


async def look(reader: Reader, request: Request) -> World:
    """Raises what the reader does."""
    wanted = kinds(request)

    async def listed(kind: type[R]) -> list[R]:
        return await reader.list(kind) if kind in wanted else []

    return World(
        {plan.metadata.name: plan for plan in await listed(TenantPlan)},
        {size.metadata.name: size for size in await listed(CellClass)},
        await listed(Cell),
        await listed(Tenant),
        await listed(CellRelease),
        {strategy.metadata.name: strategy for strategy in await listed(CellReleaseStrategy)},
    )
