"""What is: the move, its tenant, both cells, and who else is on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from voicehelper_core.errors import NotFound
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell, Tenant, TenantMove, TenantPlan

from voicehelper_operator.tenants.observe import BY_CELL, BY_GROUP
from voicehelper_operator.tenants.placement import Residents


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the plan depends on."""

    move: TenantMove
    now: datetime
    tenant: Tenant | None
    """The one that is meant, while it is there."""
    plan: TenantPlan | None
    cells: Sequence[Cell]
    residents: Residents = field(default_factory=Residents)
    """With those who are on their way to a cell."""
    ahead: str = ""
    """Another move of the tenant that has to end first."""
    behind: bool = False
    """Whether another move of the tenant waits for this one."""

    def cell(self, cell_id: str | None) -> Cell | None:
        """The cell of an id, while it is there."""
        return next((cell for cell in self.cells if cell_id and cell.status.cell_id == cell_id), None)

    def of(self, move: TenantMove) -> Observation:
        """The same with the move as it is now."""
        return replace(self, move=move)

    @property
    def switched(self) -> bool:
        """Whether the tenant lives in the target."""
        status = self.move.status
        return (
            status.target is not None
            and self.tenant is not None
            and self.tenant.status.cell_id == status.target.cell_id
        )


async def observe(store: ResourceStore, name: str, now: datetime) -> Observation:
    """Raises NotFound when the move is gone."""
    move = await store.get(TenantMove, name)
    tenants = await store.list(Tenant)
    tenant = next((item for item in tenants if item.metadata.name == move.spec.tenant), None)
    if tenant is not None and move.status.tenant_id not in (None, tenant.status.tenant_id):
        tenant = None  # another one of that name
    plan = None
    if tenant is not None:
        try:
            plan = await store.get(TenantPlan, tenant.spec.plan_ref)
        except NotFound:
            plan = None
    others = [item for item in await store.list(TenantMove) if item.metadata.uid != move.metadata.uid]
    going = [item for item in others if item.status.finished_at is None and item.status.phase != "Refused"]
    of_tenant = [item for item in going if item.spec.tenant == move.spec.tenant]
    ahead = [item for item in of_tenant if item.status.started_at is not None or _age(item) < _age(move)]
    first = min(ahead, key=_age, default=None)
    return Observation(
        move,
        now,
        tenant,
        plan,
        await store.list(Cell),
        _residents(tenant, tenants, going),
        first.metadata.name if first is not None and move.status.started_at is None else "",
        bool(of_tenant),
    )


def _residents(tenant: Tenant | None, tenants: Sequence[Tenant], going: Sequence[TenantMove]) -> Residents:
    counts = Counter(home for item in tenants if (home := BY_CELL.of(item)))
    counts.update(item.status.target.cell for item in going if item.status.target and not item.status.switched_at)
    group = tenant.spec.placement.group if tenant is not None else None
    return Residents(counts, [item for item in tenants if group and BY_GROUP.of(item) == group])


def _age(move: TenantMove) -> tuple[str, str]:
    meta = move.metadata
    return meta.creation_timestamp.isoformat() if meta.creation_timestamp else "", meta.name
