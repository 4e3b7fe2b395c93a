"""What is: the tenant, its plan, its cell, and, where it has none yet, all cells and who lives where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from voicehelper_core.errors import NotFound
from voicehelper_core.indexes import Index, counted, counts, having, selected
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell, Tenant, TenantPlan

from voicehelper_operator.engine import pause
from voicehelper_operator.engine.pause import Pause
from voicehelper_operator.tenants.placement import Residents

BY_CELL = Index(Tenant, lambda tenant: tenant.status.cell or None)
"""Where they live."""
BY_GROUP = Index(Tenant, lambda tenant: tenant.spec.placement.group)
"""Who wants to share a cell with whom."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the plan depends on."""

    tenant: Tenant
    plan: TenantPlan | None
    cells: Sequence[Cell]
    residents: Residents = field(default_factory=Residents)
    """Only where the tenant has to be placed."""

    @property
    def cell(self) -> Cell | None:
        """The cell that the tenant is placed in, while it is that one."""
        status = self.tenant.status
        found = next((cell for cell in self.cells if cell.metadata.name == status.cell), None)
        return found if found is not None and found.status.cell_id == status.cell_id else None

    @property
    def pause(self) -> Pause | None:
        """Why nothing may be changed now."""
        return pause.of(self.tenant, self.cell or self.own_cell)

    @property
    def own_cell(self) -> Cell | None:
        """The cell that was made for this tenant."""
        uid = self.tenant.metadata.uid
        return next((c for c in self.cells if any(o.uid == uid for o in c.metadata.owner_references)), None)


async def observe(store: ResourceStore, name: str) -> Observation:
    """Raises NotFound when the tenant is gone."""
    tenant = await store.get(Tenant, name)
    try:
        plan: TenantPlan | None = await store.get(TenantPlan, tenant.spec.plan_ref)
    except NotFound:
        plan = None
    if tenant.status.cell is not None:
        return Observation(tenant, plan, await _homes(store, tenant.status.cell))
    return Observation(tenant, plan, await store.list(Cell), await _residents(store, tenant))


async def _residents(store: ResourceStore, tenant: Tenant) -> Residents:
    """From indexes: placing one of ten thousand must not look at all of them."""
    group = tenant.spec.placement.group
    return Residents(await counts(store, BY_CELL), await having(store, BY_GROUP, group) if group else ())


def residents(tenant: Tenant, tenants: Iterable[Tenant]) -> Residents:
    """Where all tenants are at hand."""
    known, group = [*tenants], tenant.spec.placement.group
    return Residents(counted(BY_CELL, known), selected(BY_GROUP, known, group) if group else ())


async def _homes(store: ResourceStore, name: str) -> list[Cell]:
    try:
        return [await store.get(Cell, name)]
    except NotFound:
        return []
