"""The effects of a cell's plan. Each is idempotent; dying in one means running it again."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from voicehelper_core import errors, faults
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell

from voicehelper_operator.activity import Activity, NoActivity
from voicehelper_operator.cells import rotation
from voicehelper_operator.cells.observe import Observation
from voicehelper_operator.cells.plan import FINALIZER, Step
from voicehelper_operator.cells.specs import Specs
from voicehelper_operator.engine import metrics
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.attempts import attempted, described, ensured
from voicehelper_operator.slices.credentials import NO_ROTATION, CellCredentials, Rotation
from voicehelper_operator.slices.interface import CellRef, Slice
from voicehelper_operator.workloads.interface import WorkloadRuntime, WorkloadState

_DRAIN_SECONDS = 10.0
"""How long new requests wait for those of before to end, when a cell is stopped for a moment."""
_POSTPONED = timedelta(minutes=5)


@dataclass(slots=True)
class Outcome:
    """What came of the steps. ``problems`` holds a message by store; empty means that the slice is there."""

    problems: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    slices_done: bool = False
    release: str | None = None
    """That serves."""
    canary: str | None = None
    """That is to stay beside it, once the schemas are at it."""
    schema_revision: str | None = None
    schemas_ahead: list[str] = field(default_factory=list)
    migration_problem: str | None = None
    workload: WorkloadState | None = None
    workload_problem: errors.AppError | None = None
    hibernation: Literal["", "Idle", "Forced"] = ""
    waiting: str | None = None
    released: bool = False
    rotation: Rotation = NO_ROTATION
    stopped: Step | None = None
    """The step that cannot be done yet."""
    settled: bool = False
    """Whether nothing runs that was told an older configuration than the newest."""


@dataclass(frozen=True, slots=True)
class CellApplier:
    """Runs steps against the stores and the runtime."""

    settings: OperatorSettings
    store: ResourceStore
    slices: Sequence[Slice]
    credentials: CellCredentials
    runtime: WorkloadRuntime
    activity: Activity = field(default_factory=NoActivity)
    draining: dict[str, float] = field(default_factory=dict)
    """Since when requests wait in front of a cell that is stopped for a moment."""

    @property
    def specs(self) -> Specs:
        """What workloads are told."""
        return Specs(self.settings, self.credentials)

    async def run(self, seen: Observation, steps: Sequence[Step]) -> Outcome:
        """All steps, until one cannot be done yet."""
        outcome = Outcome(
            release=seen.cell.status.release,
            canary=seen.release if seen.beside and seen.migrated else None,
            schema_revision=seen.cell.status.schema_revision,
            schemas_ahead=seen.cell.status.schemas_ahead,
            workload=seen.workload,
            rotation=seen.rotation,
        )
        answers = seen.workload is not None and seen.workload.ready
        if seen.rotation.phase and seen.cell.status.hibernation == "Idle" and not answers:
            outcome.hibernation = "Idle"  # stopped for its new passwords: requests wait, whatever step fails now
        for step in steps:
            with metrics.step(Cell.kind_name, step) as measured:
                done = await self._step(seen, step, steps, outcome)
                measured.fell_short(not done, outcome.workload_problem)
            if not done:
                outcome.stopped = step
                break
        return outcome

    async def look(self, seen: Observation) -> Outcome:
        """What there is, without changing anything. A cell that has no passwords yet has nothing else either."""
        status = seen.cell.status
        outcome = Outcome(
            release=status.release,
            canary=status.canary.release if status.canary else None,
            schema_revision=status.schema_revision,
            schemas_ahead=status.schemas_ahead,
            workload=seen.workload,
        )
        outcome.hibernation = status.hibernation
        if status.cell_id is not None and await self.credentials.known(status.cell_id):
            _, outcome.problems = await ensured({item.store: _looked(item, seen.ref) for item in self.slices})
            outcome.slices_done = not outcome.problems
        return outcome

    async def _step(self, seen: Observation, step: Step, steps: Sequence[Step], outcome: Outcome) -> bool:
        match step:
            case "slices":
                await self._slices(seen.ref, outcome)
                if "migrate" not in steps and any(made.startswith("schema ") for made in outcome.made):
                    outcome.schema_revision = None  # it was gone and is empty now: the next look migrates it
                    return False
                return not outcome.problems
            case "migrate":
                return await self._migrate(seen, outcome)
            case "workload":
                return await self._workload(seen, outcome)
            case "park":
                self.draining.pop(seen.ref.cell_id, None)
                outcome.hibernation = "Idle"
            case "begin-rotation":
                await faults.point("operator.rotation.begin.before")
                outcome.rotation = await self.credentials.begin(seen.ref.cell_id, rotation.asked(seen.cell))
                await faults.point("operator.rotation.begin.recorded")
            case "drain":
                return await self._drain(seen, outcome)
            case "switch-rotation":
                await faults.point("operator.rotation.switch.before")
                outcome.rotation = await self.credentials.switch(seen.ref.cell_id)
                await faults.point("operator.rotation.switch.recorded")
            case "close-rotation":
                if outcome.settled:
                    await faults.point("operator.rotation.close.before")
                    outcome.rotation = await self.credentials.close(seen.ref.cell_id)
                    await faults.point("operator.rotation.close.recorded")
            case "finish-rotation":
                await faults.point("operator.rotation.finish.before")
                outcome.rotation = await self.credentials.finish(seen.ref.cell_id)
                await faults.point("operator.rotation.finish.recorded")
            case "hibernate":
                return await self._sleep(seen, outcome)
            case "await-tenants":
                outcome.waiting = f"{seen.tenants} tenants are placed here: delete or move them first"
                return False
            case "await-archive":
                outcome.waiting = "its tenant's archive is not there yet"
                return False
            case "remove-workload":
                await faults.point("operator.workload.remove.before")
                outcome.waiting = await self.runtime.remove(seen.ref.cell_id)
                await faults.point("operator.workload.remove.effect")
                return outcome.waiting is None
            case "archive-slices":
                return await self._end({item.store: item.archive(seen.ref) for item in self.slices}, outcome)
            case "remove-slices":
                await faults.point("operator.cell.remove.before")
                # Postgres first: while events of the cell are on their way, Kafka Connect would make its topics again.
                first = [item for item in self.slices if item.store == "postgres"]
                for part in first, [item for item in self.slices if item not in first]:
                    if not await self._end({item.store: item.remove(seen.ref) for item in part}, outcome):
                        return False
                await self.credentials.remove(seen.ref.cell_id)
                await faults.point("operator.cell.remove.effect")
            case "release":
                await self._release(seen.cell)
                outcome.released = True
            case "refuse":
                return False
        return True

    async def _end(self, jobs: Mapping[str, Awaitable[None]], outcome: Outcome) -> bool:
        problems = await attempted(jobs)
        if problems:
            outcome.waiting = f"what is in the way: {described(problems)}"
        return not problems

    async def _release(self, cell: Cell) -> None:
        left = [item for item in cell.metadata.finalizers if item != FINALIZER]
        await faults.point("operator.cell.release.before")
        await self.store.set_finalizers(Cell, cell.metadata.name, left)
        await faults.point("operator.cell.release.recorded")

    async def _slices(self, ref: CellRef, outcome: Outcome) -> None:
        made, outcome.problems = await ensured({item.store: _slice(item, ref) for item in self.slices})
        outcome.made += made
        outcome.slices_done = not outcome.problems

    async def _migrate(self, seen: Observation, outcome: Outcome) -> bool:
        await faults.point("operator.migrate.before")
        spec = await self.specs.migration(seen)
        try:
            async with self._migrating(seen.ref):
                output = await self.runtime.run_once(spec, "migrate")
            result = json.loads(output.strip().splitlines()[-1])
            revision, outcome.schemas_ahead = str(result["schema_revision"]), [*map(str, result.get("ahead", ()))]
        except Exception as error:  # of the step, of its output, of a store's client
            outcome.migration_problem = str(error)[:1000]
            return False
        await faults.point("operator.migrate.effect")
        outcome.schema_revision = revision
        if seen.beside:
            outcome.canary = seen.release
        else:
            outcome.release = seen.release
        return True

    @asynccontextmanager
    async def _migrating(self, ref: CellRef) -> AsyncIterator[None]:
        """The credentials of migrations are good for nothing at any other time."""
        for item in self.slices:
            await item.let_migrate(ref, allowed=True)
        yield
        for item in self.slices:  # after a failure it ends by itself, or at the next try
            await item.let_migrate(ref, allowed=False)

    async def _sleep(self, seen: Observation, outcome: Outcome) -> bool:
        outcome.hibernation = "Forced" if seen.forced else "Idle"
        if not seen.forced and seen.workload is not None and not await self.activity.parked(seen.ref.cell_id):
            outcome.waiting = "requests of before come to their end"
            return False
        return await self._stop(seen, outcome)

    async def _drain(self, seen: Observation, outcome: Outcome) -> bool:
        """Stop what runs once nobody is in it; where that takes long, let everybody in again and try it later."""
        cell_id = seen.ref.cell_id
        if await self.activity.parked(cell_id):
            self.draining.pop(cell_id, None)
            outcome.hibernation = "Idle"
            return await self._stop(seen, outcome)
        outcome.waiting = "requests of before come to their end"
        if time.monotonic() - self.draining.setdefault(cell_id, time.monotonic()) < _DRAIN_SECONDS:
            outcome.hibernation = "Idle"
            return False
        del self.draining[cell_id]
        outcome.rotation = await self.credentials.postpone(cell_id, datetime.now(UTC) + _POSTPONED)
        return False

    async def _stop(self, seen: Observation, outcome: Outcome) -> bool:
        outcome.workload = None
        try:
            outcome.settled = await self.runtime.sleep(await self.specs.serving(seen))
        except errors.AppError as error:
            outcome.workload_problem = error
        return outcome.workload_problem is None

    async def _workload(self, seen: Observation, outcome: Outcome) -> bool:
        spec = await self.specs.wanted(seen)
        await faults.point("operator.workload.before")
        try:
            outcome.workload = await self.runtime.ensure(spec)
        except errors.AppError as error:
            outcome.workload_problem = error
            return False
        await faults.point("operator.workload.effect")
        outcome.settled = outcome.workload.settled
        if not seen.beside:
            outcome.release = seen.release
        # Asleep for the router until it answers: requests wait so long.
        outcome.hibernation = "Idle" if seen.cell.status.hibernation == "Idle" and not outcome.workload.ready else ""
        return outcome.workload.ready


async def _looked(item: Slice, ref: CellRef) -> tuple[list[str], str | None]:
    missing = await item.observe(ref)
    return [], f"missing or wrong: {', '.join(missing)}"[:1000] if missing else None


async def _slice(item: Slice, ref: CellRef) -> tuple[list[str], str | None]:
    made = await item.ensure(ref)
    return made, await item.verify(ref)
