"""The moment in which requests wait: the last round, its comparison, and the switch, or everything as it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from voicehelper_core import errors, faults
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell, Tenant

from voicehelper_operator.activity import Activity
from voicehelper_operator.moves.copying import Compared, Copier
from voicehelper_operator.moves.ends import Ends
from voicehelper_operator.moves.observe import Observation
from voicehelper_operator.slices.attempts import attempted, described
from voicehelper_operator.slices.interface import CellRef, Slice, TenantRef
from voicehelper_operator.tenants.plan import limits

_LOOK_SECONDS = 0.02
_SETTLE_SECONDS = 0.15
"""Between the last request that went to the source and its fence: most have ended by then, or are answers."""


class Switch:
    """From one home to another."""

    def __init__(self, store: ResourceStore, slices: Sequence[Slice], copier: Copier, activity: Activity) -> None:
        self._store, self._slices, self._copier, self._activity = store, slices, copier, activity

    async def run(self, seen: Observation, ends: Ends) -> tuple[Compared, float]:
        """What was compared, and seconds that requests waited.

        Raises Unprocessable where both sides differ, TimeoutError after ``maxPauseSeconds``, and what stores raise;
        ``undo`` it then.
        """
        began = time.monotonic()
        async with asyncio.timeout(seen.move.spec.max_pause_seconds):
            tenant = await self._hold(seen)
            await self._copier.close_source(ends)
            compared = await self._copier.finish(ends)
            await self._let_in(seen, ends)
            await self._home(seen, tenant)
        return compared, time.monotonic() - began

    async def undo(self, seen: Observation, ends: Ends) -> None:
        """The source goes on. Raises what stores raise."""
        await self._copier.open_source(ends)
        tenant = seen.tenant
        if tenant is not None and tenant.status.held_by == seen.move.metadata.name:
            new = tenant.status.model_copy(update={"held_by": None})
            await self._store.update_status(
                Tenant, tenant.metadata.name, new, resource_version=tenant.metadata.resource_version
            )

    async def _hold(self, seen: Observation) -> Tenant:
        """Until every router lets new requests wait, and what came before has had its moment."""
        tenant = seen.tenant
        assert tenant is not None
        new = tenant.status.model_copy(update={"held_by": seen.move.metadata.name})
        await faults.point("operator.move.hold.before")
        tenant = await self._store.update_status(
            Tenant, tenant.metadata.name, new, resource_version=tenant.metadata.resource_version
        )
        await faults.point("operator.move.hold.recorded")
        while not await self._activity.held(tenant.metadata.name):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(_SETTLE_SECONDS)
        return tenant

    async def _let_in(self, seen: Observation, ends: Ends) -> None:
        """The target knows the tenant."""
        cell, part = CellRef(ends.target), told(seen)
        problems = await attempted({item.store: item.ensure_tenant(cell, part) for item in self._slices})
        if problems:
            raise errors.Unavailable(described(problems))
        await self._copier.open_target(ends)

    async def _home(self, seen: Observation, tenant: Tenant) -> None:
        """The switch itself: one write, of the version that was held."""
        target = seen.move.status.target
        assert target is not None
        there = {
            "cell": target.cell,
            "cell_id": target.cell_id,
            "placement_reason": f"moved by '{seen.move.metadata.name}'",
            "held_by": None,
        }
        while True:
            new = tenant.status.model_copy(update=there)
            await faults.point("operator.move.switch.before")
            try:
                await self._store.update_status(
                    Tenant, tenant.metadata.name, new, resource_version=tenant.metadata.resource_version
                )
            except errors.Conflict:
                tenant = await self._again(seen, tenant)
                continue
            await faults.point("operator.move.switch.recorded")
            return

    async def _again(self, seen: Observation, tenant: Tenant) -> Tenant:
        """Its reconciler has written meanwhile; still held by this move, it is the same. Raises Conflict otherwise."""
        found = await self._store.get(Tenant, tenant.metadata.name)
        if found.status.held_by != seen.move.metadata.name or found.metadata.deletion_timestamp is not None:
            raise errors.Conflict("the tenant is not held by this move any more")
        return found


def told(seen: Observation) -> TenantRef:
    """What a cell has to know of the tenant."""
    tenant = seen.tenant
    assert tenant is not None
    assert seen.plan is not None
    assert tenant.status.tenant_id
    return TenantRef(tenant.status.tenant_id, tenant.metadata.name, tenant.spec.suspended, limits(tenant, seen.plan))


def is_own(cell: Cell, tenant: str) -> bool:
    """Whether the cell was made for the tenant of that name."""
    return any(owner.kind == Tenant.kind_name and owner.name == tenant for owner in cell.metadata.owner_references)
