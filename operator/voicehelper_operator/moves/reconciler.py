"""Brings one move a step further. Each step is idempotent; a switch that was cut off is let go and tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from voicehelper_core import errors, faults
from voicehelper_core.ports import EventRecorder, ResourceStore
from voicehelper_crds import Cell, TenantMove
from voicehelper_crds.moves import MoveEnd, MovePhase, MoveVerification

from voicehelper_operator.activity import Activity
from voicehelper_operator.engine import metrics
from voicehelper_operator.engine.conditions import no, yes
from voicehelper_operator.engine.loop import Result
from voicehelper_operator.moves.copying import Copier
from voicehelper_operator.moves.ends import Ends
from voicehelper_operator.moves.metrics import PAUSES
from voicehelper_operator.moves.observe import Observation, observe
from voicehelper_operator.moves.plan import FINALIZER, Plan, plan
from voicehelper_operator.moves.reporting import Reporter
from voicehelper_operator.moves.switch import Switch, is_own, told
from voicehelper_operator.slices.attempts import attempted, described
from voicehelper_operator.slices.interface import CellRef, Slice
from voicehelper_operator.tenants import own_cell

_LOOK_SECONDS = 1.0
_ANSWERS_SECONDS = 0.2
"""How often the rest of answers is brought that the source still writes: clients may read them in the target."""


class MoveReconciler:
    """One move at a time, from its name."""

    kind = TenantMove.kind_name

    def __init__(
        self,
        store: ResourceStore,
        events: EventRecorder,
        slices: Sequence[Slice],
        copier: Copier,
        activity: Activity,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._slices, self._copier, self._clock = store, slices, copier, clock
        self._reporter, self._switcher = Reporter(store, events), Switch(store, slices, copier, activity)

    async def close(self) -> None:
        """Disconnect."""
        await self._copier.close()

    async def reconcile(self, name: str) -> Result:
        """Raises NotFound when it is gone, Conflict when somebody wrote meanwhile."""
        seen = await observe(self._store, name, self._clock())
        planned = plan(seen)
        with metrics.step(self.kind, planned.step):
            return await self._take(seen, planned)

    async def _take(self, seen: Observation, planned: Plan) -> Result:
        match planned.step:
            case "nothing":
                return Result()
            case "finalizer" | "forget":
                return await self._finalizer(seen, there=planned.step == "finalizer")
            case "refuse":
                refused = no("Accepted", planned.reason, planned.message)
                await self._reporter.report(seen, "Refused", planned.message, refused, finished_at=seen.now)
                return Result()
            case "wait":
                return await self._wait(seen, planned)
            case "make-cell":
                return await self._make_cell(seen, planned.name)
            case "begin":
                return await self._begin(seen, planned)
            case "copy":
                return await self._copy(seen)
            case "switch":
                return await self._switch(seen)
            case "let-go":
                await self._let_go(seen, planned.message)
                return Result(0)
            case "drain":
                return await self._drain(seen)
            case "rest":
                await self._reporter.report(seen, "Grace", planned.message)
                return Result(planned.after)
            case "clean":
                return await self._clean(seen)
            case "abort":
                return await self._abort(seen, planned)

    async def _finalizer(self, seen: Observation, *, there: bool) -> Result:
        meta = seen.move.metadata
        others = [item for item in meta.finalizers if item != FINALIZER]
        await self._store.set_finalizers(TenantMove, meta.name, [*others, FINALIZER] if there else others)
        return Result(0 if there else None)

    async def _wait(self, seen: Observation, planned: Plan) -> Result:
        if seen.move.status.target is not None:
            await self._reporter.report(seen, "Preparing", planned.message)
        else:
            waits = no("Accepted", planned.reason, planned.message)
            phase: MovePhase = "Queued" if planned.reason == "Queued" else "Preparing"
            await self._reporter.report(seen, phase, planned.message, waits)
        return Result(planned.after)

    async def _make_cell(self, seen: Observation, name: str) -> Result:
        """One of the tenant's own; made once, never altered here."""
        tenant, plan_of = seen.tenant, seen.plan
        assert tenant is not None
        assert plan_of is not None
        wanted = own_cell.manifest(tenant, plan_of, name=name, region=seen.move.spec.target.region)
        text = f"cell '{name}' is being made"
        await self._reporter.report(seen, "Preparing", text, yes("Accepted", "Valid"), made_cell=True)
        await faults.point("operator.move.cell.before")
        with suppress(errors.Conflict):  # another try made it; the next look sees whose it is
            await self._store.create(wanted)
        await faults.point("operator.move.cell.recorded")
        return Result(_LOOK_SECONDS)

    async def _begin(self, seen: Observation, planned: Plan) -> Result:
        tenant, target = seen.tenant, planned.cell
        assert tenant is not None
        assert target is not None
        source = MoveEnd(cell=tenant.status.cell or "", cell_id=tenant.status.cell_id or "")
        end = MoveEnd(cell=target.metadata.name, cell_id=target.status.cell_id or "")
        text = f"from cell '{source.cell}' to '{end.cell}'"
        seen = await self._reporter.report(
            seen, "Preparing", text, yes("Accepted", "Valid"), no("Complete", "Moving"),
            tenant_id=tenant.status.tenant_id, source=source, target=end, started_at=seen.now,
        )  # fmt: skip
        await self._reporter.happened(seen, "Moving", text)
        return Result(0)

    async def _copy(self, seen: Observation) -> Result:
        """The bulk, while the tenant is served."""
        ends, part = _ends(seen), told(seen)
        if seen.move.status.phase != "Copying":
            seen = await self._reporter.report(seen, "Copying", "the tenant's data is being copied")
        # Postgres comes last, at the switch: it says who lives in the cell.
        places = [item for item in self._slices if item.store != "postgres"]
        problems = await attempted({item.store: item.ensure_tenant(CellRef(ends.target), part) for item in places})
        if problems:
            await self._reporter.report(seen, "Copying", described(problems))
            return Result(again=True)
        await faults.point("operator.move.copy.before")
        try:
            lag = await self._copier.bring(ends)
        except errors.AppError as error:
            await self._reporter.report(seen, "Copying", error.detail)
            return Result(again=True)
        await faults.point("operator.move.copy.recorded")
        rounds = seen.move.status.rounds + 1
        await self._reporter.report(seen, "Copying", "the copy is compared with the source", rounds=rounds, lag=lag)
        return Result(0)

    async def _switch(self, seen: Observation) -> Result:
        """Compare everything; then all or nothing, while requests wait."""
        ends, name = _ends(seen), seen.move.metadata.name
        try:
            await self._copier.check(ends)
        except errors.AppError as error:
            return await self._differs(seen, error.detail)
        # What was seen before the comparison may be minutes old.
        seen = await observe(self._store, name, self._clock())
        if plan(seen).step != "switch":
            return Result(0)
        attempts = seen.move.status.attempts + 1
        seen = await self._reporter.report(seen, "Holding", "requests wait", attempts=attempts, held_at=seen.now)
        problem = ""
        try:
            compared, pause = await self._switcher.run(seen, ends)
        except TimeoutError:
            problem = f"requests would have waited longer than {seen.move.spec.max_pause_seconds} s"
        except errors.AppError as error:
            problem = error.detail
        seen = await observe(self._store, name, self._clock())
        if problem and not seen.switched:
            await self._let_go(seen, problem)
            return Result(again=True)
        if problem:
            return Result(0)
        PAUSES.observe(pause)
        text = f"requests waited {pause:.2f} s"
        verified = MoveVerification(
            tables=compared.tables, rows=compared.rows, vectors=compared.vectors, objects=compared.objects, at=seen.now
        )
        seen = await self._reporter.report(
            seen, "Draining", text, yes("Verified", "Same"), yes("Switched", "TargetServes", text), held_at=None,
            switched_at=seen.now, verification=verified, pause_seconds=round(pause, 3),
        )  # fmt: skip
        await self._reporter.happened(seen, "Switched", text)
        return Result(0)

    async def _differs(self, seen: Observation, why: str) -> Result:
        """Nothing is switched; the next try begins with another copy."""
        differs = no("Verified", "Different", why)
        seen = await self._reporter.report(seen, "Copying", why, differs, rounds=0)
        await self._reporter.happened(seen, "NotTheSame", why, warning=True)
        return Result(again=True)

    async def _let_go(self, seen: Observation, why: str) -> None:
        """The tenant goes on where it lives."""
        await self._switcher.undo(seen, _ends(seen))
        seen = await observe(self._store, seen.move.metadata.name, self._clock())
        seen = await self._reporter.report(
            seen, "Copying", why, no("Verified", "NotSwitched", why), held_at=None, rounds=0
        )
        await self._reporter.happened(seen, "LetGo", why, warning=True)

    async def _drain(self, seen: Observation) -> Result:
        """Answers that the source was writing come to their end there."""
        status = seen.move.status
        if status.switched_at is None:  # the operator died between the switch and its record
            switched = yes("Switched", "TargetServes")
            seen = await self._reporter.report(
                seen, "Draining", "the target serves", switched, switched_at=seen.now, held_at=None
            )
        left = await self._copier.answers(_ends(seen)) if seen.tenant is not None else 0
        if left:
            text = f"{left} answers are still being written in cell '{_source(seen)}'"
            await self._reporter.report(seen, "Draining", text, unfinished=left)
            return Result(_ANSWERS_SECONDS)
        await self._reporter.report(seen, "Grace", "the target serves", unfinished=0)
        return Result(0)

    async def _clean(self, seen: Observation) -> Result:
        """The source loses what it has of the tenant, and its cell where that was the tenant's own."""
        ends, status, tenant = _ends(seen), seen.move.status, seen.tenant
        at_home = tenant is not None and tenant.status.cell_id == ends.source
        if not at_home:
            seen = await self._reporter.report(seen, "Cleaning", f"cell '{_source(seen)}' is being cleaned")
            data = seen.move.spec.cleanup == "Delete"
            await faults.point("operator.move.clean.before")
            problems = await self._remove(ends.source, ends, data=data)
            if problems:
                await self._reporter.report(seen, "Cleaning", described(problems))
                return Result(again=True)
            await faults.point("operator.move.clean.effect")
            source = seen.cell(ends.source)
            if data and source is not None and is_own(source, seen.move.spec.tenant):
                if source.metadata.deletion_timestamp is None:
                    await self._store.delete(Cell, source.metadata.name)
                return Result(_LOOK_SECONDS)
        took = f"; requests waited {status.pause_seconds:g} s" if status.pause_seconds is not None else ""
        seen = await self._reporter.report(
            seen, "Complete", f"the tenant lives in cell '{status.target.cell if status.target else ''}'{took}",
            yes("Complete", "Moved"), finished_at=seen.now,
        )  # fmt: skip
        await self._reporter.happened(seen, "Moved", seen.move.status.message)
        return Result(0)  # one that was deleted meanwhile goes

    async def _abort(self, seen: Observation, planned: Plan) -> Result:
        """The source goes on, and nothing stays in the target."""
        status = seen.move.status
        seen = await self._reporter.report(seen, "Aborting", planned.message)
        if status.target is not None:
            ends = _ends(seen)
            await self._switcher.undo(seen, ends)
            await faults.point("operator.move.abort.before")
            problems = await self._remove(ends.target, ends, data=True)
            if problems:
                await self._reporter.report(seen, "Aborting", f"{planned.message}; {described(problems)}")
                return Result(again=True)
            await faults.point("operator.move.abort.effect")
        seen = await observe(self._store, seen.move.metadata.name, self._clock())
        if status.made_cell and (made := self._made(seen)) is not None:
            if made.metadata.deletion_timestamp is None:
                await self._store.delete(Cell, made.metadata.name)
            return Result(_LOOK_SECONDS)
        seen = await self._reporter.report(
            seen, "Aborted", planned.message, no("Complete", "Aborted", planned.message), finished_at=seen.now,
            held_at=None,
        )  # fmt: skip
        await self._reporter.happened(seen, "Aborted", planned.message, warning=True)
        return Result(0)

    def _made(self, seen: Observation) -> Cell | None:
        """The cell that was made for this move, be it not its target yet: the tenant's own that it does not live in."""
        tenant, status = seen.tenant, seen.move.status
        if status.target is not None:
            return seen.cell(status.target.cell_id)
        if tenant is None:
            return None
        own = [cell for cell in seen.cells if is_own(cell, tenant.metadata.name)]
        return next((cell for cell in own if cell.status.cell_id != tenant.status.cell_id), None)

    async def _remove(self, cell_id: str, ends: Ends, *, data: bool) -> dict[str, str]:
        cell = CellRef(cell_id)
        return await attempted(
            {item.store: item.remove_tenant(cell, ends.tenant_id, data=data) for item in self._slices}
        )


def _ends(seen: Observation) -> Ends:
    status = seen.move.status
    assert status.tenant_id
    assert status.source is not None
    assert status.target is not None
    return Ends(status.tenant_id, status.source.cell_id, status.target.cell_id)


def _source(seen: Observation) -> str:
    source = seen.move.status.source
    return source.cell if source is not None else ""
