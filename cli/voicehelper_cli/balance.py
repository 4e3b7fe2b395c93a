"""Which tenants to move so that shared cells are evenly full. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicehelper_core.resource_rules import is_paused
from voicehelper_crds import Cell, Tenant, TenantMove, holds


@dataclass(frozen=True, slots=True)
class Step:
    """One move."""

    tenant: str
    source: str
    target: str


def movable(tenant: Tenant, moves: Sequence[TenantMove]) -> str:
    """Why a tenant stays where it is; empty where it may be moved."""
    if tenant.metadata.deletion_timestamp is not None:
        return "it is being deleted"
    if tenant.spec.placement.cell is not None:
        return f"it is pinned to cell '{tenant.spec.placement.cell}'"
    if tenant.spec.placement.group is not None:
        return f"it shares a cell with group '{tenant.spec.placement.group}'"
    if is_paused(tenant):
        return "it is paused"
    if any(move.spec.tenant == tenant.metadata.name and move.status.finished_at is None for move in moves):
        return "a move of it is under way"
    return ""


def balanced(cells: Sequence[Cell], tenants: Sequence[Tenant], moves: Sequence[TenantMove] = ()) -> Iterator[Step]:
    """The fewest moves after which no cell of a region has two tenants more than another with room.

    Cells that are cordoned, paused, full, not ready or being deleted get nobody. A region keeps its tenants.
    """
    for region in sorted({cell.spec.region for cell in cells}):
        shared = [cell for cell in cells if cell.spec.tenancy == "shared" and cell.spec.region == region]
        yield from _of_region(shared, tenants, moves)


def _of_region(cells: Sequence[Cell], tenants: Sequence[Tenant], moves: Sequence[TenantMove]) -> Iterator[Step]:
    names = {cell.metadata.name for cell in cells}
    counts = {name: sum(tenant.status.cell == name for tenant in tenants) for name in names}
    free = {
        name: sorted(t.metadata.name for t in tenants if t.status.cell == name and not movable(t, moves))
        for name in names
    }
    open_to = {cell.metadata.name: cell for cell in cells if _takes(cell)}
    while True:
        targets = [name for name, cell in open_to.items() if counts[name] < cell.spec.capacity]
        sources = [name for name in names if free[name]]
        if not targets or not sources:
            return
        target = min(targets, key=lambda name: (counts[name], name))
        source = min(sources, key=lambda name: (-counts[name], name))
        if counts[source] - counts[target] < 2:
            return
        yield Step(free[source].pop(0), source, target)
        counts[source] -= 1
        counts[target] += 1


def _takes(cell: Cell) -> bool:
    return (
        not cell.spec.cordoned
        and cell.metadata.deletion_timestamp is None
        and not is_paused(cell)
        and holds(cell.status.conditions, "Ready")
    )
