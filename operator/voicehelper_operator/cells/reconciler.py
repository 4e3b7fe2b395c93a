"""Ties observe, plan, apply and status together for a cell."""

from __future__ import annotations

from collections.abc import Callable

from voicehelper_core import faults, names
from voicehelper_core.ports import EventRecorder
from voicehelper_crds import Cell, CellStatus, holds

from voicehelper_operator.cells import canary
from voicehelper_operator.cells import status as reporting
from voicehelper_operator.cells.apply import CellApplier, Outcome
from voicehelper_operator.cells.observe import Observation, observe
from voicehelper_operator.cells.plan import FINALIZER, Step, plan
from voicehelper_operator.engine import metrics
from voicehelper_operator.engine.conditions import gained
from voicehelper_operator.engine.events import record_turn
from voicehelper_operator.engine.loop import Result
from voicehelper_operator.engine.pause import Pause


class CellReconciler:
    """One cell at a time, from its name."""

    kind = "Cell"

    def __init__(
        self, applier: CellApplier, events: EventRecorder, repaired: Callable[[str], None] = lambda _: None
    ) -> None:
        self._applier, self._events, self._repaired = applier, events, repaired
        self._stopped: dict[str, Step] = {}
        """At which step those stand that wait: who has come further looks again soon."""

    async def reconcile(self, name: str) -> Result:
        """Raises errors.NotFound when the cell is gone."""
        seen = await self._observe(name)
        planned = plan(seen)
        if planned.pause is not None:
            await self._look(seen, planned.pause)
            return Result()
        if "finalizer" in planned.steps:
            finalizers = [*seen.cell.metadata.finalizers, FINALIZER]
            with metrics.step(self.kind, "finalizer"):
                await self._applier.store.set_finalizers(Cell, name, finalizers)
            return Result(0)
        if "identify" in planned.steps:
            await self._identify(seen.cell)
            return Result(0)
        outcome = await self._applier.run(seen, planned.steps)
        before = self._stopped.pop(name, None)
        if outcome.released:
            text = f"id {seen.cell.status.cell_id}, by deletion policy {seen.policy}"
            await self._events.record(seen.cell, "Removed", text)
            return Result()
        await self._repairs(seen, outcome)
        new = reporting.status(seen, planned, outcome, self._applier.slices)
        await self._report(seen, new)
        failed = outcome.problems or outcome.migration_problem or outcome.workload_problem
        starting = outcome.workload is not None and not outcome.workload.ready
        emptied = seen.cell.status.schema_revision is not None and outcome.schema_revision is None
        moved = outcome.rotation.phase != seen.rotation.phase
        if outcome.waiting and outcome.stopped:
            self._stopped[name] = outcome.stopped
            moved = moved or outcome.stopped != before
        progress = gained(seen.cell.status.conditions, new.conditions) or moved
        again = bool(failed or starting or emptied or outcome.waiting or outcome.rotation.phase)
        return Result(self._look_after(seen, outcome, new), again=again, progress=progress)

    async def _look(self, seen: Observation, pause: Pause) -> None:
        """Tell what is; resyncs and changes of the workload come here again."""
        outcome = await self._applier.look(seen)
        await self._repairs(seen, outcome)
        await self._report(seen, reporting.paused(seen, pause, outcome, self._applier.slices))

    @staticmethod
    def _look_after(seen: Observation, outcome: Outcome, new: CellStatus) -> float | None:
        """When the cell may fall asleep, at the earliest, or when what was tried in it may end; at once where the
        router has just been told, and where a rotation has come a phase further.
        """
        after = seen.cell.spec.idle_after_seconds
        if outcome.rotation.phase != seen.rotation.phase:
            return 0
        if outcome.hibernation == "Idle" and seen.cell.status.hibernation != "Idle":
            return 0
        told = new.canary
        if told is not None and told.leaving_since is not None and (left := canary.left(told, seen.now)) > 0:
            return left
        if after is None or outcome.workload is None or seen.forced:
            return None
        return max(1.0, after - (seen.idle or 0.0))

    async def _observe(self, name: str) -> Observation:
        applier = self._applier
        return await observe(
            name,
            applier.settings,
            store=applier.store,
            runtime=applier.runtime,
            activity=applier.activity,
            credentials=applier.credentials,
        )

    async def _identify(self, cell: Cell) -> None:
        """The id is in the status before anything is made with it."""
        new = cell.status.model_copy(update={"cell_id": names.new_id()})
        version = cell.metadata.resource_version
        with metrics.step(self.kind, "identify"):
            await faults.point("operator.cell.identify.before")
            await self._applier.store.update_status(Cell, cell.metadata.name, new, resource_version=version)
            await faults.point("operator.cell.identify.recorded")
        metrics.STATUS_WRITES.labels(self.kind).inc()

    async def _repairs(self, seen: Observation, outcome: Outcome) -> None:
        """What had been there and was made again is an event; the first making is not."""
        status, generation = seen.cell.status, seen.cell.metadata.generation
        settled = status.observed_generation == generation and status.release == seen.release
        if outcome.made and settled and holds(status.conditions, "Migrated"):
            self._repaired(seen.cell.metadata.name)
            if not (seen.rotation.phase or outcome.rotation.phase):  # accounts come and go then: that is no drift
                metrics.REPAIRS.labels(self.kind).inc(len(outcome.made))
                await self._events.record(
                    seen.cell, "DriftRepaired", f"made again: {', '.join(outcome.made)}", warning=True
                )
        before = seen.cell.status.workloads[0].restarts if seen.cell.status.workloads else None
        if outcome.workload is not None and before is not None and outcome.workload.restarts > before:
            await self._events.record(
                seen.cell, "WorkloadRestarted", f"it has been started again ({outcome.workload.message or 'it ended'})",
                warning=True,
            )  # fmt: skip

    async def _report(self, seen: Observation, new: CellStatus) -> None:
        if new == seen.cell.status:
            return
        with metrics.step(self.kind, "status"):
            await faults.point("operator.cell.status.before")
            # Of this version only: a status that others have written, or this one's own later look, stays.
            meta = seen.cell.metadata
            updated = await self._applier.store.update_status(
                Cell, meta.name, new, resource_version=meta.resource_version
            )
            await faults.point("operator.cell.status.recorded")
        metrics.STATUS_WRITES.labels(self.kind).inc()
        await record_turn(self._events, updated, seen.cell.status.conditions)
        if (stuck := reporting.stuck(new)) and not reporting.stuck(seen.cell.status):
            await self._events.record(updated, "RolloutStuck", stuck, warning=True)
        before, now = seen.cell.status.credentials, new.credentials
        if before and now and not now.rotation and (before.rotation or before.rotated_at != now.rotated_at):
            text = f"the workload uses account '{now.account}' of each store; the other one is closed"
            await self._events.record(updated, "CredentialsRotated", text)
