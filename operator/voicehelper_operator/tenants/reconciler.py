"""Ties observe, plan, apply and status together for a tenant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack

from voicehelper_core import faults, names
from voicehelper_core.errors import AppError
from voicehelper_core.ports import EventRecorder
from voicehelper_crds import Tenant, TenantStatus, holds

from voicehelper_operator.engine import metrics
from voicehelper_operator.engine.conditions import gained
from voicehelper_operator.engine.events import record_turn
from voicehelper_operator.engine.loop import Result
from voicehelper_operator.engine.pause import Pause
from voicehelper_operator.probe import Prober
from voicehelper_operator.tenants import status as reporting
from voicehelper_operator.tenants.apply import Outcome, TenantApplier
from voicehelper_operator.tenants.observe import Observation, observe
from voicehelper_operator.tenants.placement import Placed
from voicehelper_operator.tenants.plan import ARCHIVED, FINALIZER, Plan, plan

ROUTE_SECONDS = 1.0
"""How long a new route may take until it counts as failed."""


ARCHIVE_SECONDS = 1.0
"""How often an archive that is being made is looked at."""


class TenantReconciler:
    """One tenant at a time, from its name."""

    kind = "Tenant"

    def __init__(
        self,
        applier: TenantApplier,
        events: EventRecorder,
        prober: Prober,
        endpoint: str,
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._wake = wake
        self._applier, self._events, self._prober, self._endpoint = applier, events, prober, endpoint
        self._placing = asyncio.Lock()  # two tenants must not take the last room of a cell
        self._left: dict[str | None, float] = {}  # when a tenant that is deleted was out, by uid; forgotten in a crash

    async def reconcile(self, name: str) -> Result:
        """Raises errors.NotFound when the tenant is gone."""
        seen = await observe(self._applier.store, name)
        planned = plan(seen)
        tenant = seen.tenant
        if planned.pause is not None:
            await self._look(seen, planned.pause)
            return Result()
        if "finalizer" in planned.steps:
            with metrics.step(self.kind, "finalizer"):
                await self._applier.store.set_finalizers(Tenant, name, [*tenant.metadata.finalizers, FINALIZER])
            return Result(0)
        if tenant.metadata.deletion_timestamp is not None:
            return await self._delete(seen, planned)
        if "create-cell" in planned.steps:
            with metrics.step(self.kind, "create-cell"):
                await self._applier.create_cell(seen)
        if "identify" in planned.steps or "place" in planned.steps:
            return await self._place(name)
        return await self._converge(seen, planned)

    async def _look(self, seen: Observation, pause: Pause) -> None:
        """Tell what is; resyncs come here again."""
        outcome, status = Outcome(), seen.tenant.status
        if seen.cell is not None and status.tenant_id is not None:
            outcome = await self._applier.look(seen, seen.cell)
            routed = holds(status.conditions, "Routable") and not seen.tenant.spec.suspended
            if routed and not seen.cell.status.hibernation and status.held_by is None:
                await self._probe(seen, outcome)
        await self._report(seen, reporting.paused(seen, pause, outcome))

    async def _delete(self, seen: Observation, planned: Plan) -> Result:
        """First the route goes (503 instead of half a tenant), then the data, then the resource."""
        tenant = seen.tenant
        if holds(tenant.status.conditions, "Routable") or tenant.status.phase != "Deleting":
            seen = await self._report(seen, reporting.status(seen, planned, Outcome(), self._endpoint))
        problems = await self._leave(seen, planned)
        if not problems and "archive" in planned.steps:
            return await self._archive(seen, planned)
        if not problems and "remove-data" in planned.steps:
            if pause := self._pause(tenant):
                return Result(after=pause)
            with metrics.step(self.kind, "remove-data") as step:
                problems = await self._applier.remove_data(tenant)
                step.fell_short(problems)
        if problems:
            await self._report(seen, reporting.status(seen, planned, Outcome(slice_problems=problems), self._endpoint))
            return Result(again=True)
        if "end-cell" in planned.steps:
            await self._report(seen, reporting.status(seen, planned, Outcome(), self._endpoint))
            return Result(again=True)
        if "release" in planned.steps:
            text = f"id {tenant.status.tenant_id}, by deletion policy {tenant.spec.deletion.policy}"
            if archive := reporting.archive(tenant):
                text = f"{text}; {archive}"
            await self._events.record(tenant, "Removed", text)
            with metrics.step(self.kind, "release"):
                await self._applier.release(tenant)
            self._left.pop(tenant.metadata.uid, None)
        return Result()

    async def _archive(self, seen: Observation, planned: Plan) -> Result:
        """Nothing is removed before the status says where the verified archive is."""
        if pause := self._pause(seen.tenant):
            return Result(after=pause)
        with metrics.step(self.kind, "archive") as step:
            archived, problems = await self._applier.archive(seen.tenant)
            step.fell_short(archived is None)
        if archived is None and not problems and any(i.type == ARCHIVED for i in seen.tenant.status.conditions):
            return Result(after=ARCHIVE_SECONDS)  # what was wrong the last time stays said until it has ended
        outcome = Outcome(slice_problems=problems, archived=archived)
        seen = await self._report(seen, reporting.status(seen, planned, outcome, self._endpoint))
        if archived is None:
            return Result(again=bool(problems), after=None if problems else ARCHIVE_SECONDS)
        await faults.point("operator.tenant.archive.recorded")
        await self._events.record(seen.tenant, "Archived", str(archived))
        return Result(0)

    async def _leave(self, seen: Observation, planned: Plan) -> dict[str, str]:
        """What is in the way, by store."""
        problems: dict[str, str] = {}
        if "leave" in planned.steps and seen.tenant.metadata.uid not in self._left:
            with metrics.step(self.kind, "leave") as step:
                problems = await self._applier.leave(seen.tenant)
                step.fell_short(problems)
        if not problems and "end-cell" in planned.steps and seen.own_cell is not None:
            with metrics.step(self.kind, "end-cell") as step:
                problems = await self._applier.end_cell(seen.own_cell)
                step.fell_short(problems)
        return problems

    def _pause(self, tenant: Tenant) -> float:
        """Seconds in which what the cell was doing for the tenant may come to its end; nobody waits here for them."""
        left = self._left.setdefault(tenant.metadata.uid, time.monotonic())
        return max(0.0, left + self._applier.grace_seconds - time.monotonic())

    async def _place(self, name: str) -> Result:
        """Give it an id and a cell, decided on what is now, and write them down before anything is made with them."""
        async with self._placing:
            seen = await observe(self._applier.store, name)
            tenant, planned = seen.tenant, plan(seen)
            decision = planned.decision
            if planned.pause is not None:
                return Result(0)
            new = tenant.status.model_copy()
            if new.tenant_id is None:
                new.tenant_id = names.new_id()
            placed = False
            if isinstance(decision, Placed) and new.cell_id is None:
                placed = True
                cell = next(item for item in seen.cells if item.metadata.name == decision.cell)
                new.cell, new.cell_id, new.placement_reason = decision.cell, cell.status.cell_id, decision.reason
            if new != tenant.status:
                await self._record(tenant, new, placed=placed)
        if placed:
            await self._events.record(tenant, "Placed", f"in cell {new.cell}: {new.placement_reason}")
        return Result(0)

    async def _record(self, tenant: Tenant, new: TenantStatus, *, placed: bool) -> None:
        """One write for both where both are new; none where somebody else has written meanwhile."""
        identified = tenant.status.tenant_id is None
        with ExitStack() as steps:
            for step, wanted in (("identify", identified), ("place", placed)):
                if wanted:
                    steps.enter_context(metrics.step(self.kind, step))
            if identified:
                await faults.point("operator.tenant.identify.before")
            if placed:
                await faults.point("operator.tenant.place.before")
            version = tenant.metadata.resource_version
            await self._applier.store.update_status(Tenant, tenant.metadata.name, new, resource_version=version)
            if identified:
                await faults.point("operator.tenant.identify.recorded")
            if placed:
                await faults.point("operator.tenant.place.recorded")
        metrics.STATUS_WRITES.labels(self.kind).inc()

    async def _converge(self, seen: Observation, planned: Plan) -> Result:
        outcome, was = Outcome(), seen.tenant.status.conditions
        if seen.cell is not None:
            outcome = await self._applier.ensure(seen, planned, seen.cell)
        await self._repairs(seen, outcome)
        before = self._judged(seen, planned, outcome)
        routable = holds(before.conditions, "Routable")
        held = seen.tenant.status.held_by is not None
        if routable and not held and not seen.tenant.spec.suspended and not reporting.asleep(seen):
            if not holds(seen.tenant.status.conditions, "Routable"):
                seen = await self._report(seen, before)  # the router has to hear of it before the probe can pass
            if seen.cell is not None and seen.cell.status.hibernation == "Idle" and seen.cell.status.cell_id:
                self._wake(seen.cell.status.cell_id)  # a probe wakes nobody; it has to pass once
            await self._probe(seen, outcome)
        seen = await self._report(seen, self._judged(seen, planned, outcome))
        troubled = (
            outcome.probed
            or outcome.canary_probed
            or outcome.slice_problems
            or outcome.identity_problem
            or planned.waiting
        )
        progress = gained(was, seen.tenant.status.conditions)
        return Result(again=bool(troubled) or not routable, progress=progress)

    def _judged(self, seen: Observation, planned: Plan, outcome: Outcome) -> TenantStatus:
        return reporting.status(seen, planned, outcome, self._endpoint)

    async def _probe(self, seen: Observation, outcome: Outcome) -> None:
        status = seen.tenant.status
        assert status.tenant_id
        assert status.cell_id
        with metrics.step(self.kind, "probe") as step:
            try:
                # The router hears of a new route within milliseconds; waiting for it here spares a whole round.
                patience = 0 if holds(status.conditions, "Ready") else ROUTE_SECONDS
                outcome.probed = await self._prober.probe(
                    seen.tenant.metadata.name, status.tenant_id, status.cell_id, patience=patience
                )
                await self._probe_canary(seen, outcome)
                step.fell_short(outcome.probed)
            except AppError as error:
                outcome.probed = f"identity gives no token for the probe ({error.title})"
                step.fell_short(outcome.probed, error)
        outcome.probe_done = True

    async def _probe_canary(self, seen: Observation, outcome: Outcome) -> None:
        """The release that is tried beside the one that serves, in the same cell."""
        status, tried = seen.tenant.status, seen.cell.status.canary if seen.cell is not None else None
        if tried is None or not tried.ready or not status.tenant_id or not status.cell_id:
            return
        outcome.canary = tried.release
        outcome.canary_probed = await self._prober.probe(
            seen.tenant.metadata.name, status.tenant_id, status.cell_id, patience=ROUTE_SECONDS, canary=tried.release
        )

    async def _repairs(self, seen: Observation, outcome: Outcome) -> None:
        """What had been there and was made again is an event; the first making is not."""
        status, generation = seen.tenant.status, seen.tenant.metadata.generation
        if outcome.made and holds(status.conditions, "Ready") and status.observed_generation == generation:
            metrics.REPAIRS.labels(self.kind).inc(len(outcome.made))
            text = f"made again: {', '.join(outcome.made)}"
            await self._events.record(seen.tenant, "DriftRepaired", text, warning=True)

    async def _report(self, seen: Observation, new: TenantStatus) -> Observation:
        """Write the status if it says something new; the observation as it is then."""
        if new == seen.tenant.status:
            return seen
        with metrics.step(self.kind, "status"):
            await faults.point("operator.tenant.status.before")
            # Of this version only: an id or a place that somebody else has written meanwhile must not be undone.
            meta = seen.tenant.metadata
            updated = await self._applier.store.update_status(
                Tenant, meta.name, new, resource_version=meta.resource_version
            )
            await faults.point("operator.tenant.status.recorded")
        metrics.STATUS_WRITES.labels(self.kind).inc()
        await record_turn(self._events, updated, seen.tenant.status.conditions)
        return Observation(updated, seen.plan, seen.cells, seen.residents)
