"""Which tenants a resync looks at: those that lack something, those that are not well, and some of the others in turn.

Reconciling a thousand tenants that are as they should be every half minute would cost a processor of its own. What a
cell's tenants have in the stores is compared at once instead, one question a store and cell; the rest (the admin, the
routed probe) is looked at in turn, so that each tenant is reconciled wholly within ``TURN`` resyncs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from voicehelper_core.log import get_logger
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Tenant, TenantPlan, holds

from voicehelper_operator.slices.interface import CellRef, Slice, TenantRef
from voicehelper_operator.tenants.plan import limits

log = get_logger(__name__)
LEAST, TURN = 20, 20
"""So many are reconciled in each resync at least; all of them within so many resyncs."""


class Sweep:
    """Remembers whose turn it is."""

    def __init__(self, store: ResourceStore, slices: Sequence[Slice]) -> None:
        self._store, self._slices = store, slices
        self._last = ""

    async def due(self) -> set[str]:
        """Names of tenants to reconcile. Raises errors.Unavailable when the resource store is away."""
        tenants = await self._store.list(Tenant)
        plans = {plan.metadata.name: plan for plan in await self._store.list(TenantPlan)}
        due = self._turn([tenant.metadata.name for tenant in tenants])
        homes: dict[str, list[Tenant]] = {}
        for tenant in tenants:
            if _settled(tenant) and tenant.spec.plan_ref in plans:
                homes.setdefault(str(tenant.status.cell_id), []).append(tenant)
            else:
                due.add(tenant.metadata.name)
        for cell_id, living in homes.items():
            due |= await self._lacking(CellRef(cell_id), living, plans)
        return due | _beside_failed_probes(tenants)

    def _turn(self, names: Sequence[str]) -> set[str]:
        """The next ones after those of the last resync, round and round."""
        count = min(len(names), max(LEAST, -(-len(names) // TURN)))
        later = [name for name in names if name > self._last]
        chosen = list(itertools.islice(itertools.chain(later, names), count))
        self._last = chosen[-1] if chosen else ""
        return set(chosen)

    async def _lacking(self, cell: CellRef, living: Sequence[Tenant], plans: dict[str, TenantPlan]) -> set[str]:
        """Those that a store knows otherwise or not at all; all, where a store cannot tell."""
        names = {str(tenant.status.tenant_id): tenant.metadata.name for tenant in living}
        parts = [
            TenantRef(
                tenant_id, tenant.metadata.name, tenant.spec.suspended, limits(tenant, plans[tenant.spec.plan_ref])
            )
            for tenant_id, tenant in zip(names, living, strict=True)
        ]
        found: set[str] = set()
        for item in self._slices:
            try:
                found |= await item.lacking(cell, parts)
            except Exception as error:  # whatever it is, reconciling each tenant will say it in a condition
                log.warning(
                    "tenants cannot be compared", store=item.store, cell_id=cell.cell_id, error=str(error)[:300]
                )
                return set(names.values())
        return {names[tenant_id] for tenant_id in found}


def _settled(tenant: Tenant) -> bool:
    """Nothing is known that would have to be done."""
    status, meta = tenant.status, tenant.metadata
    well = holds(status.conditions, "Ready", meta.generation) or tenant.spec.suspended
    return bool(well and status.cell_id and status.tenant_id and meta.deletion_timestamp is None)


def _beside_failed_probes(tenants: Iterable[Tenant]) -> set[str]:
    """Where the route of one does not work, those of its cell are asked for at once."""
    listed = list(tenants)
    failed = {
        tenant.status.cell
        for tenant in listed
        if any(item.type == "Ready" and item.reason == "ProbeFailed" for item in tenant.status.conditions)
    }
    return {tenant.metadata.name for tenant in listed if tenant.status.cell in failed}
