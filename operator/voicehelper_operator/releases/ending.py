"""When a release goes no further, and which cells go back then. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from voicehelper_crds.failure_policy import FailurePolicy
from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import Ended, ReleasedCell, Strategy, WaveStatus

from voicehelper_operator.releases.observe import Observation
from voicehelper_operator.releases.progress import HAS_FAILED, IN_FLIGHT, entries, turn


def failed(status: CellReleaseStatus) -> int:
    """Cells that have failed with the release, whether they have gone back or not."""
    return sum(entry.phase in HAS_FAILED for _, entry in entries(status))


def left(status: CellReleaseStatus, wave: WaveStatus, policy: FailurePolicy) -> int:
    """How many more cells of the wave may fail; the last of them ends the release. In a wave of one cell that is the
    first, whatever the policy bears.
    """
    of_wave = sum(entry.phase not in (*HAS_FAILED, "Skipped") for entry in wave.cells)
    return min(policy.max_failed_cells - failed(status), of_wave)


def decide(seen: Observation, status: CellReleaseStatus, strategy: Strategy) -> None:
    """Send back the cells that have failed, or more of them, and end the release where it must end."""
    spec, policy = seen.release.spec, strategy.failure_policy
    if spec.rollback is not None and (status.ended is None or status.ended.cause != "Rollback"):
        _end(
            seen, status, Ended(cause="Rollback", actor=spec.rollback.actor, message=spec.rollback.reason, at=seen.now)
        )
        _back(seen, (entry for _, entry in entries(status) if entry.phase in ("Updated", "Failed")), "asked for")
        return
    if status.ended is not None:
        return
    broken = [(wave, entry) for wave, entry in entries(status) if entry.phase == "Failed"]
    if policy.on_failure == "Rollback" and broken:
        if min(left(status, wave, policy) for wave, _ in broken) > 0:
            _back(seen, (entry for _, entry in broken))
        else:
            told = "; ".join(f"cell '{entry.cell}': {entry.message}" for _, entry in broken)
            metric, value = _metric(entry for _, entry in broken)
            _end(seen, status, Ended(cause="Failure", message=told[:1000], metric=metric, value=value, at=seen.now))
            _back(seen, (entry for _, entry in broken))
            _back(seen, _scope(status, strategy, [wave for wave, _ in broken]), "another cell failed")
            return
    if spec.state == "Stop":
        _end(seen, status, Ended(cause="Stop", actor="spec.state", message="it was stopped", at=seen.now))


def _metric(broken: Iterable[ReleasedCell]) -> tuple[str, str]:
    """What was measured, where that is why."""
    failed_by = next((entry.failed_by for entry in broken if entry.failed_by is not None), None)
    return (failed_by.metric, failed_by.message) if failed_by is not None else ("", "")


def _end(seen: Observation, status: CellReleaseStatus, ended: Ended) -> None:
    """Nothing more is begun; what is on its way goes back."""
    status.ended, status.finished_at = ended, None
    _back(seen, (entry for _, entry in entries(status) if entry.phase in IN_FLIGHT), "the release has ended")
    for wave in status.waves:
        if wave.phase not in ("Done", "Ended"):
            wave.phase, wave.since = "Ended", seen.now


def _back(seen: Observation, cells: Iterable[ReleasedCell], why: str = "") -> None:
    for entry in [*cells]:
        turn(entry, "RollingBack", seen.now, entry.message or why)


def _scope(status: CellReleaseStatus, strategy: Strategy, waves: list[WaveStatus]) -> Iterable[ReleasedCell]:
    match strategy.failure_policy.scope:
        case "Cell":
            return []
        case "Wave":
            return [entry for wave in waves for entry in wave.cells if entry.phase == "Updated"]
        case "AllUpdated":
            return [entry for _, entry in entries(status) if entry.phase == "Updated"]
