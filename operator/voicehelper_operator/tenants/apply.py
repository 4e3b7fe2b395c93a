"""The effects of a tenant's plan. Each is idempotent; dying in one means running it again."""

from __future__ import annotations

import asyncio
import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass, field

from voicehelper_core import errors, faults
from voicehelper_core.names import admin_secret
from voicehelper_core.ports import ResourceStore, SecretStore
from voicehelper_crds import Cell, Tenant

from voicehelper_operator.archives.keeper import Archived, Keeper
from voicehelper_operator.archives.problems import StoreProblem
from voicehelper_operator.engine import metrics
from voicehelper_operator.identity import Admin, AdminState, Identity
from voicehelper_operator.slices.attempts import attempted, ensured
from voicehelper_operator.slices.interface import CellRef, Slice, TenantRef
from voicehelper_operator.tenants import own_cell
from voicehelper_operator.tenants.observe import Observation
from voicehelper_operator.tenants.plan import FINALIZER, Plan, limits

_MOST_USERS = 2**31 - 1
"""What the field of identity's API holds."""


@dataclass(slots=True)
class Outcome:
    """What came of the steps."""

    slice_problems: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    slices_done: bool = False
    admin: AdminState | None = None
    identity_problem: str | None = None
    probed: str | None = None
    """What the routed probe found wrong."""
    canary: str = ""
    """The release that is tried in the cell and was probed, too."""
    canary_probed: str | None = None
    """What that probe found wrong."""
    probe_done: bool = False
    released: bool = False
    archived: Archived | None = None
    """The archive that was made of a tenant that goes."""


@dataclass(frozen=True, slots=True)
class TenantApplier:
    """Runs steps against the stores and identity."""

    store: ResourceStore
    secrets: SecretStore
    slices: Sequence[Slice]
    identity: Identity
    keeper: Keeper
    grace_seconds: float = 2.0
    """Between the end of a tenant's access and the removal of its data."""

    async def create_cell(self, seen: Observation) -> None:
        """The tenant's own cell; made once, never altered here."""
        assert seen.plan is not None
        await faults.point("operator.tenant.cell.before")
        try:
            await self.store.create(own_cell.manifest(seen.tenant, seen.plan))
        except errors.Conflict:
            return  # another try made it; the next look sees whose it is
        await faults.point("operator.tenant.cell.recorded")

    async def ensure(self, seen: Observation, planned: Plan, cell: Cell) -> Outcome:
        """The tenant's part of each slice, and its admin."""
        outcome = Outcome()
        jobs = []
        if "slices" in planned.steps:
            jobs.append(self._slices(seen, cell, outcome))
        if "identity" in planned.steps:
            jobs.append(self._identify(seen, outcome))
        await asyncio.gather(*jobs)
        return outcome

    async def look(self, seen: Observation, cell: Cell) -> Outcome:
        """What the stores have of the tenant, without changing anything."""
        outcome = Outcome()
        if seen.plan is not None:
            part = _told(seen)
            jobs = {item.store: _looked(item, _ref(cell), part) for item in self.slices}
            _, outcome.slice_problems = await ensured(jobs)
            outcome.slices_done = not outcome.slice_problems
        return outcome

    async def _slices(self, seen: Observation, cell: Cell, outcome: Outcome) -> None:
        part = _told(seen)
        with metrics.step(Tenant.kind_name, "slices") as step:
            made, outcome.slice_problems = await ensured(
                {item.store: _part(item, _ref(cell), part) for item in self.slices}
            )
            step.fell_short(outcome.slice_problems)
        outcome.made += made
        outcome.slices_done = not outcome.slice_problems

    async def _identify(self, seen: Observation, outcome: Outcome) -> None:
        with metrics.step(Tenant.kind_name, "identity") as step:
            await self._identity(seen, outcome, step)

    async def _identity(self, seen: Observation, outcome: Outcome, step: metrics.Step) -> None:
        tenant = seen.tenant
        assert seen.plan is not None
        assert tenant.status.tenant_id
        wanted = tenant.spec.admin
        name = admin_secret(tenant.status.tenant_id)
        kept = await self.secrets.get(name)
        if kept is None or kept.get("email") != wanted.email:
            # The password is kept before identity hears of it: a crash in between loses nothing.
            kept = {"tenant": tenant.metadata.name, "email": wanted.email, "password": random.token_urlsafe(18)}
            await self.secrets.put(name, kept)
        await faults.point("operator.identity.before")
        admin = Admin(wanted.email, wanted.display_name, kept["password"])
        users = min(limits(tenant, seen.plan)["users"], _MOST_USERS)
        try:
            outcome.admin = await self.identity.ensure_tenant(
                tenant.metadata.name, tenant.status.tenant_id, admin, users
            )
        except errors.AppError as error:
            outcome.identity_problem = error.detail
            step.fell_short(outcome.identity_problem, error)
        await faults.point("operator.identity.effect")

    async def leave(self, tenant: Tenant) -> dict[str, str]:
        """Nobody may come in any more; problems by store, empty when all is done.

        What is gone already is no obstacle, be it the cell itself.
        """
        await faults.point("operator.tenant.leave.before")
        problems = await self._remove(tenant, data=False)
        if problems:
            return problems
        assert tenant.status.tenant_id
        try:
            await self.identity.remove_tenant(tenant.status.tenant_id)
        except errors.AppError as error:
            return {"identity": error.detail}
        if tenant.spec.deletion.policy == "Delete":  # identity keeps the users of a tenant whose data is kept
            await self.secrets.delete(admin_secret(tenant.status.tenant_id))
        await faults.point("operator.tenant.leave.effect")
        return {}

    async def archive(self, tenant: Tenant) -> tuple[Archived | None, dict[str, str]]:
        """A verified archive of all that the tenant has, None while it is being made; problems by store."""
        await faults.point("operator.tenant.archive.before")
        try:
            archived = await self.keeper.archived(tenant)
        except StoreProblem as error:
            return None, {error.store: error.why}
        if archived is not None:
            await faults.point("operator.tenant.archive.effect")
        return archived, {}

    async def end_cell(self, cell: Cell) -> dict[str, str]:
        """Ask for the deletion of the tenant's own cell."""
        try:
            if cell.metadata.deletion_timestamp is None:
                await faults.point("operator.tenant.cell-end.before")
                await self.store.delete(Cell, cell.metadata.name)
                await faults.point("operator.tenant.cell-end.recorded")
        except errors.PermissionDenied as error:
            return {"cell": error.detail}
        except errors.NotFound:
            pass
        return {}

    async def remove_data(self, tenant: Tenant) -> dict[str, str]:
        """Its rows, partition and objects; problems by store."""
        await faults.point("operator.tenant.data.before")
        problems = await self._remove(tenant, data=True)
        if not problems and tenant.spec.deletion.policy == "Archive":
            problems = await self._forget(tenant)
        await faults.point("operator.tenant.data.effect")
        return problems

    async def _forget(self, tenant: Tenant) -> dict[str, str]:
        """What identity and the operator kept until the archive was there."""
        assert tenant.status.tenant_id
        try:
            await self.identity.remove_tenant(tenant.status.tenant_id)
        except errors.AppError as error:
            return {"identity": error.detail}
        await self.secrets.delete(admin_secret(tenant.status.tenant_id))
        return {}

    async def _remove(self, tenant: Tenant, *, data: bool) -> dict[str, str]:
        tenant_id, cell_id = tenant.status.tenant_id, tenant.status.cell_id
        if tenant_id is None or cell_id is None:
            return {}
        cell = CellRef(cell_id)
        return await attempted({item.store: item.remove_tenant(cell, tenant_id, data=data) for item in self.slices})

    async def release(self, tenant: Tenant) -> None:
        """Drop the finalizer; the resource goes."""
        left = [item for item in tenant.metadata.finalizers if item != FINALIZER]
        await faults.point("operator.tenant.release.before")
        await self.store.set_finalizers(Tenant, tenant.metadata.name, left)
        await faults.point("operator.tenant.release.recorded")


def _ref(cell: Cell) -> CellRef:
    assert cell.status.cell_id
    return CellRef(cell.status.cell_id)


def _told(seen: Observation) -> TenantRef:
    """What the cell has to know of the tenant."""
    tenant = seen.tenant
    assert seen.plan is not None
    assert tenant.status.tenant_id
    return TenantRef(tenant.status.tenant_id, tenant.metadata.name, tenant.spec.suspended, limits(tenant, seen.plan))


async def _looked(item: Slice, ref: CellRef, part: TenantRef) -> tuple[list[str], str | None]:
    lacks = await item.lacking(ref, [part])
    return [], "what the tenant has there is missing or not as it should be" if lacks else None


async def _part(item: Slice, ref: CellRef, part: TenantRef) -> tuple[list[str], str | None]:
    return await item.ensure_tenant(ref, part), None
