"""Which cell a tenant goes to. Pure and deterministic: the same world gives the same cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from voicehelper_core.resource_rules import is_paused
from voicehelper_crds import Cell, Tenant, TenantPlan
from voicehelper_crds.models import Isolation


@dataclass(frozen=True, slots=True)
class Placed:
    """The cell and why it was chosen."""

    cell: str
    reason: str


@dataclass(frozen=True, slots=True)
class CreateCell:
    """A dedicated cell has to be made first."""

    name: str


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """Why there is no cell, for programs and for people."""

    reason: str
    message: str


Decision = Placed | CreateCell | NotPlaced


@dataclass(frozen=True, slots=True)
class Residents:
    """Who lives where, as far as a decision depends on it."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Tenants by name of their cell."""
    group: Sequence[Tenant] = ()
    """Those of the tenant's group."""


def decide(tenant: Tenant, plan: TenantPlan, cells: Sequence[Cell], residents: Residents) -> Decision:
    """A placed tenant stays. Otherwise: the pinned cell, its own cell, its group's cell, or the fullest that has room.

    Filling the fullest cell first keeps the number of cells small; the name breaks ties.
    """
    by_name = {cell.metadata.name: cell for cell in cells}
    counts = residents.counts
    if tenant.status.cell:
        return _stay(tenant, by_name)
    if isolation_of(tenant, plan) == "dedicated":
        return _dedicated(tenant, by_name, counts)
    return _shared(tenant, cells, residents)


def isolation_of(tenant: Tenant, plan: TenantPlan) -> Isolation:
    """What the tenant asks for, or its plan."""
    return tenant.spec.placement.isolation or plan.spec.isolation


def region_of(tenant: Tenant) -> str | None:
    """Where the tenant has to live; anywhere where it does not say."""
    return tenant.spec.residency or tenant.spec.placement.region


def _stay(tenant: Tenant, cells: dict[str, Cell]) -> Decision:
    name = tenant.status.cell or ""
    cell = cells.get(name)
    if cell is None or cell.status.cell_id != tenant.status.cell_id:
        lost = f"cell '{name}' with id {tenant.status.cell_id} is gone, and the tenant's data with it"
        message = f"{lost}: nothing is moved by itself"
        return NotPlaced("CellLost", message)
    return Placed(name, tenant.status.placement_reason)


def _owned(tenant: Tenant, cell: Cell) -> bool:
    return any(owner.uid == tenant.metadata.uid for owner in cell.metadata.owner_references)


def _dedicated(tenant: Tenant, cells: dict[str, Cell], counts: Mapping[str, int]) -> Decision:
    pinned = tenant.spec.placement.cell
    if pinned:
        cell = cells.get(pinned)
        if cell is None:
            return NotPlaced("CellNotFound", f"placement.cell: there is no cell '{pinned}'")
        if cell.spec.tenancy != "dedicated" or counts.get(pinned):
            return NotPlaced("CellNotFree", f"placement.cell: '{pinned}' is not a free dedicated cell")
        return _checked(tenant, cell, "pinned by placement.cell")
    name = tenant.metadata.name
    cell = cells.get(name)
    if cell is None:
        return CreateCell(name)
    if not _owned(tenant, cell):
        message = f"a cell '{name}' that belongs to somebody else is in the way: name one in placement.cell"
        return NotPlaced("CellNameTaken", message)
    return _checked(tenant, cell, "a cell of its own")


def _checked(tenant: Tenant, cell: Cell, reason: str) -> Decision:
    if problem := _unfit(tenant, cell):
        return NotPlaced("CellUnfit", f"cell '{cell.metadata.name}' {problem}")
    return Placed(cell.metadata.name, reason)


def _unfit(tenant: Tenant, cell: Cell) -> str | None:
    """Why the cell cannot take the tenant, whatever its room."""
    region = region_of(tenant)
    if cell.metadata.deletion_timestamp is not None:
        return "is being deleted"
    if region and cell.spec.region != region:
        return f"is in region '{cell.spec.region}', not '{region}'"
    if cell.spec.hibernate:
        return "hibernates"
    if is_paused(cell):
        return "is paused"
    refused = next(
        (item for item in cell.status.conditions if item.type == "Accepted" and item.status == "False"), None
    )
    return f"is not accepted ({refused.reason})" if refused else None


def _shared(tenant: Tenant, cells: Sequence[Cell], residents: Residents) -> Decision:
    wish, counts = tenant.spec.placement, Counter(residents.counts)
    shared = [cell for cell in cells if cell.spec.tenancy == "shared"]
    if wish.cell:
        shared = [cell for cell in shared if cell.metadata.name == wish.cell]
        if not shared:
            return NotPlaced("CellNotFound", f"placement.cell: there is no shared cell '{wish.cell}'")
    home = _home_of_group(tenant, residents.group) if wish.group else None
    if home:
        shared = [cell for cell in shared if cell.metadata.name == home]
    fitting, problems = [], []
    for cell in shared:
        name = cell.metadata.name
        problem = _unfit(tenant, cell)
        if problem is None and cell.spec.cordoned and not wish.cell:
            problem = "is cordoned"
        if problem is None and counts[name] >= cell.spec.capacity:
            problem = f"is full ({counts[name]} of {cell.spec.capacity} tenants)"
        if problem is None:
            fitting.append(cell)
        else:
            problems.append(f"'{name}' {problem}")
    if not fitting:
        where = f" of group '{wish.group}'" if home else ""
        why = "; ".join(problems) or "there is no shared cell: apply one"
        return NotPlaced("NoRoom", f"no shared cell{where} can take the tenant: {why}")
    best = min(fitting, key=lambda cell: (_failing(cell), -counts[cell.metadata.name], cell.metadata.name))
    name = best.metadata.name
    if wish.cell:
        return Placed(name, "pinned by placement.cell")
    if home:
        return Placed(name, f"shares the cell of group '{wish.group}'")
    return Placed(name, f"fullest fitting cell: {counts[name]} of {best.spec.capacity} tenants, {len(fitting)} fitting")


def _failing(cell: Cell) -> bool:
    """Whether the cell was tried and does not come up; one that is still being made is as good as any."""
    pending = ("Pending", "NotReady", "Deleting")
    return any(
        item.type == "Ready" and item.status == "False" and item.reason not in pending
        for item in cell.status.conditions
    )


def _home_of_group(tenant: Tenant, tenants: Iterable[Tenant]) -> str | None:
    """The cell where most of the group lives."""
    group = tenant.spec.placement.group
    homes = Counter(
        item.status.cell
        for item in tenants
        if item.status.cell and item.spec.placement.group == group and item.metadata.uid != tenant.metadata.uid
    )
    return min(homes, key=lambda cell: (-homes[cell], cell)) if homes else None
