"""What to report of a cell. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from voicehelper_core import errors
from voicehelper_crds import CellStatus, holds
from voicehelper_crds.models import CredentialsStatus, Endpoints, SliceStatus, WorkloadStatus

from voicehelper_operator.cells import canary
from voicehelper_operator.cells.apply import Outcome
from voicehelper_operator.cells.observe import Observation
from voicehelper_operator.cells.plan import Plan
from voicehelper_operator.engine import pause
from voicehelper_operator.engine.conditions import Judgement, merged, no, yes
from voicehelper_operator.engine.pause import Pause
from voicehelper_operator.slices.attempts import described
from voicehelper_operator.slices.interface import Captured, Slice
from voicehelper_operator.workloads.interface import workload_name

_STUCK = "Stuck"
"""Reason of ``RolledOut``, of nothing else."""


def judge(seen: Observation, planned: Plan, outcome: Outcome, slices: Sequence[Slice]) -> list[Judgement]:
    """The conditions, each with what to do when it does not hold."""
    if planned.refusal:
        reason, message = planned.refusal
        return [no("Accepted", reason, message), no("Ready", reason, message)]
    judgements = [yes("Accepted", "Valid"), *_slices(outcome, slices), _migrated(seen, outcome)]
    judgements.append(_workload(seen, outcome))
    broken = next((item for item in judgements if item.status != "True" and item.type != "StoreIsolated"), None)
    judgements += [*_rolled_out(outcome), *_streaming(outcome, slices)]
    if seen.cell.metadata.deletion_timestamp is not None:
        judgements = [no("Ready", "Deleting", outcome.waiting or "the cell is being removed")]
    elif broken:
        judgements.append(no("Ready", broken.reason, broken.message))
    else:
        judgements.append(yes("Ready", "AllUp"))
    return judgements


def _slices(outcome: Outcome, slices: Sequence[Slice]) -> list[Judgement]:
    open_doors = [item.store for item in slices if not item.isolated]
    isolated = yes("StoreIsolated", "Isolated")
    if open_doors:
        message = (
            f"{', '.join(open_doors)} and ClickHouse have no users of their own in the embedded edition:"
            " the services keep cells apart there"
        )
        isolated = no("StoreIsolated", "EmbeddedStores", message)
    if outcome.problems:
        return [no("SlicesReady", "SliceFailed", described(outcome.problems)), isolated]
    ready = yes("SlicesReady", "AllThere") if outcome.slices_done else no("SlicesReady", "Pending", "not looked at yet")
    return [ready, isolated]


def _streaming(outcome: Outcome, slices: Sequence[Slice]) -> list[Judgement]:
    """A cell serves without it; usage and indexing are late then."""
    captured = next((item for item in slices if isinstance(item, Captured)), None)
    if captured is None or not outcome.slices_done:
        return []
    trouble = captured.stream_trouble
    return [no("EventsStreaming", *trouble) if trouble else yes("EventsStreaming", "Following")]


def _migrated(seen: Observation, outcome: Outcome) -> Judgement:
    if outcome.migration_problem:
        return no("Migrated", "MigrationFailed", outcome.migration_problem)
    if outcome.schema_revision is None or seen.release not in (outcome.release, outcome.canary):
        return no("Migrated", "Pending", f"the schemas wait for release {seen.release}")
    if outcome.schemas_ahead:
        told = f"a newer release has expanded {', '.join(outcome.schemas_ahead)}: they are left as they are"
        return yes("Migrated", "Ahead", told)
    return yes("Migrated", "UpToDate", outcome.schema_revision)


def _workload(seen: Observation, outcome: Outcome) -> Judgement:
    if outcome.workload_problem:
        return no("WorkloadReady", _reason(outcome.workload_problem), outcome.workload_problem.detail)
    if outcome.hibernation == "Forced":
        return no("WorkloadReady", "Hibernating", seen.forced)
    if outcome.hibernation == "Idle" and outcome.rotation.phase and not seen.drowsy:
        return no("WorkloadReady", "Rotating", "it starts again with new passwords: requests wait for it")
    if outcome.hibernation == "Idle":
        waking = outcome.workload is not None and seen.awaited
        return no("WorkloadReady", "Waking" if waking else "Idle", outcome.waiting or "the next request wakes the cell")
    if outcome.workload is None:
        return no("WorkloadReady", "Pending", "the workload has not been started yet")
    if not outcome.workload.ready:
        return no("WorkloadReady", "NotReady", outcome.workload.message or outcome.workload.state)
    return yes("WorkloadReady", "Answering")


def _rolled_out(outcome: Outcome) -> list[Judgement]:
    """A cell whose newest pods cannot start goes on answering with those of before, and is ready."""
    if outcome.workload is None:
        return [no("RolledOut", "NotRunning")]
    if outcome.settled:
        return [yes("RolledOut", "Newest")]
    if outcome.problems:
        return []  # nobody has looked
    if outcome.workload.message:
        return [no("RolledOut", _STUCK, outcome.workload.message)]
    return [no("RolledOut", "RollingOut", "what runs does not have the newest configuration yet")]


def stuck(status: CellStatus) -> str:
    """Why what is newest cannot start; empty where nothing of that is known."""
    return next((item.message for item in status.conditions if item.reason == _STUCK), "")


def _reason(problem: errors.AppError) -> str:
    match problem:
        case errors.Conflict():
            return "FieldsOwnedByOthers"
        case errors.PermissionDenied():
            return "NotAllowed"
        case errors.InvalidArgument():
            return "Refused"
        case _:
            return "RuntimeUnavailable"


def _credentials(outcome: Outcome) -> CredentialsStatus | None:
    rotation = outcome.rotation
    if rotation.rotated_at is None:
        return None
    message = {
        "": "",
        "Opening": "the stores get the other account",
        "Moving": "the workload takes the new passwords",
        "Closing": "the stores lose the old account",
    }[rotation.phase]
    if rotation.phase == "Opening" and rotation.postponed is not None:
        message = f"requests did not come to their end: tried again at {rotation.postponed:%H:%M:%S} UTC"
    return CredentialsStatus(
        account=rotation.account, rotated_at=rotation.rotated_at, rotation=rotation.phase, message=message
    )


def status(seen: Observation, planned: Plan, outcome: Outcome, slices: Sequence[Slice]) -> CellStatus:
    """The whole status."""
    old, generation = seen.cell.status, seen.cell.metadata.generation or 0
    judgements = [*judge(seen, planned, outcome, slices), *pause.ended(old.conditions)]
    new = old.model_copy(deep=True)
    new.conditions = merged(old.conditions, judgements, generation)
    new.release, new.schema_revision = outcome.release, outcome.schema_revision
    new.schemas_ahead = outcome.schemas_ahead
    new.credentials = _credentials(outcome)
    new.hibernation = outcome.hibernation
    new.observed_generation = generation
    _observed(new, seen, outcome, slices)
    new.canary = canary.reported(seen, outcome)
    if outcome.workload is None and outcome.hibernation:
        new.endpoints, new.workloads = Endpoints(), []
    new.phase = _phase(seen, new, outcome)
    return new


def paused(seen: Observation, why: Pause, outcome: Outcome, slices: Sequence[Slice]) -> CellStatus:
    """What was looked at, and since when nothing is changed; all else is as it was."""
    old = seen.cell.status
    looked: list[Judgement] = []
    if outcome.slices_done or outcome.problems:
        looked.append(_slices(outcome, slices)[0])
    if old.cell_id is not None and not old.hibernation:
        gone = no("WorkloadReady", "NotRunning", "the workload does not run, and is not started meanwhile")
        looked.append(gone if seen.workload is None else _workload(seen, outcome))
    if looked:
        looked.append(yes("Ready", "AllUp"))
    generation = seen.cell.metadata.generation or 0
    new = old.model_copy(deep=True)
    new.conditions = pause.judged(old.conditions, looked, why, old.observed_generation, generation)
    _observed(new, seen, outcome, slices)
    if seen.workload is None:
        new.workloads = []  # its address stays: that is where requests are sent, and what the runtime gives it again
    new.phase = pause.PHASE
    return new


def _observed(new: CellStatus, seen: Observation, outcome: Outcome, slices: Sequence[Slice]) -> None:
    """What is known of tenants, slices and the workload."""
    workload, cell_id = outcome.workload, new.cell_id
    new.tenants = seen.tenants
    if workload is not None:
        new.endpoints = Endpoints(http=workload.http, grpc=workload.grpc)
    if outcome.slices_done or outcome.problems:
        new.slices = [
            SliceStatus(
                store=item.store, ready=item.store not in outcome.problems, message=outcome.problems.get(item.store, "")
            )
            for item in slices
        ]
    if workload is not None and cell_id:
        name = workload_name(cell_id)
        new.workloads = [
            WorkloadStatus(name=name, ready=workload.ready, restarts=workload.restarts, message=workload.message)
        ]


def _phase(seen: Observation, new: CellStatus, outcome: Outcome) -> str:
    if seen.cell.metadata.deletion_timestamp is not None:
        return "Deleting"
    if holds(new.conditions, "Ready"):
        return "Ready"
    if not holds(new.conditions, "Accepted"):
        return "Refused"
    if outcome.hibernation:
        return "Hibernating"
    return "Failed" if outcome.problems or outcome.migration_problem else "Provisioning"
