"""What is: the tenant, its plan, the cells, who lives where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voicehelper_core.errors import NotFound
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell, Tenant, TenantPlan


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the plan depends on."""

    tenant: Tenant
    plan: TenantPlan | None
    cells: Sequence[Cell]
    tenants: Sequence[Tenant]

    @property
    def cell(self) -> Cell | None:
        """The cell that the tenant is placed in, while it is that one."""
        status = self.tenant.status
        found = next((cell for cell in self.cells if cell.metadata.name == status.cell), None)
        return found if found is not None and found.status.cell_id == status.cell_id else None

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
    leaving = tenant.metadata.deletion_timestamp is not None
    if tenant.status.tenant_id is None and not leaving:
        return Observation(tenant, plan, [], [tenant])
    if tenant.status.cell is None:  # only placement needs to see everything
        return Observation(tenant, plan, await store.list(Cell), await store.list(Tenant))
    return Observation(tenant, plan, await _homes(store, tenant.status.cell), [tenant])


async def _homes(store: ResourceStore, name: str) -> list[Cell]:
    try:
        return [await store.get(Cell, name)]
    except NotFound:
        return []
