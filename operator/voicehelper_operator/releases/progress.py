"""How far each cell is, by what is seen of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from voicehelper_crds.failure_policy import FailurePolicy
from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import CellPhase, ReleasedCell, Strategy, WaveStatus
from voicehelper_crds.traffic import MetricStatus

from voicehelper_operator.releases import memory, shifting, stages
from voicehelper_operator.releases.observe import Facts, Observation

IN_FLIGHT: tuple[CellPhase, ...] = ("Upgrading", "Shifting")
HAS_FAILED: tuple[CellPhase, ...] = ("Failed", "RollingBack", "RolledBack")
OVER: tuple[CellPhase, ...] = ("Updated", "RolledBack", "Skipped")
"""Of a wave's cells, before it bakes."""


def entries(status: CellReleaseStatus) -> Iterator[tuple[WaveStatus, ReleasedCell]]:
    """All cells with their waves."""
    for wave in status.waves:
        for entry in wave.cells:
            yield wave, entry


def turn(entry: ReleasedCell, phase: CellPhase, now: datetime, message: str = "") -> None:
    """Into another phase."""
    if phase == "Upgrading" and entry.begun_at is None:
        entry.begun_at = now
    if phase == "Updated":
        entry.failed_by = None
    entry.phase, entry.since, entry.message = phase, now, message[:1000]


def _fail(entry: ReleasedCell, metric: MetricStatus, now: datetime, when: str = "") -> None:
    turn(entry, "Failed", now, f"{when}{metric.metric}: {metric.message}")
    entry.failed_by = metric


def noted(seen: Observation, status: CellReleaseStatus, strategy: Strategy) -> None:
    """Bring the phases of all cells up to what is seen."""
    for wave, entry in entries(status):
        found = seen.cells.get(entry.cell)
        if found is None or found.id != entry.cell_id:
            if entry.phase not in OVER:
                turn(entry, "Skipped", seen.now, "it is gone")
        else:
            memory.noted(seen, status, entry)
            _note(seen, entry, found, strategy, memory.failing(seen, status, wave, entry))
            if entry.phase == "Upgrading" and stages.beside(status, entry):
                _await(seen, strategy, entry, found)
            elif entry.phase == "Shifting":
                _shift(seen, status, wave, entry, found)


def _await(seen: Observation, strategy: Strategy, entry: ReleasedCell, found: Facts) -> None:
    """Until the release that is tried answers every tenant."""
    canary = found.canary
    if canary is None or canary.release != seen.release.spec.release or not canary.ready:
        return
    if why := unwell(entry, found, strategy.failure_policy, seen.now):
        turn(entry, "Failed", seen.now, why)
    elif not canary.unproved and not found.tenants_unready:
        turn(entry, "Shifting", seen.now)
        entry.stage, entry.restarts = shifting.begun(seen), canary.restarts


def _shift(seen: Observation, status: CellReleaseStatus, wave: WaveStatus, entry: ReleasedCell, found: Facts) -> None:
    stage = stages.current(status, entry)
    assert entry.stage is not None and status.strategy is not None
    policy = status.strategy.failure_policy
    if found.barred:
        turn(entry, "Skipped", seen.now, f"{found.barred}; it runs {found.release}")
    elif stage is None:  # an emergency
        entry.stage = entry.stage.model_copy(update={"passed": True, "evidence": ""})
        turn(entry, "Upgrading", seen.now)
    elif (
        why := unwell(entry, found, policy, seen.now)
        or shifting.down(seen, entry, found, _patience(policy))
        or _dying(entry, found.canary.restarts if found.canary is not None else 0, status.strategy)
    ):
        turn(entry, "Failed", seen.now, why)
    else:
        entry.stage = shifting.looked(seen, status, entry, stage)
        if (metric := shifting.failing(seen, status, entry, stage, wave.name)) is not None:
            _fail(entry, metric, seen.now, f"at {stage.weight} %: ")
        elif shifting.done(seen, status, entry, stage, wave.name):
            entry.stage = shifting.after(seen, status, entry)
            if entry.stage.passed:
                turn(entry, "Upgrading", seen.now)


def _note(
    seen: Observation, entry: ReleasedCell, found: Facts, strategy: Strategy, failing: MetricStatus | None
) -> None:
    now, target = seen.now, seen.release.spec.release
    deadline = timedelta(seconds=strategy.progress_deadline_seconds)
    match entry.phase:
        case "Pending":
            if found.barred:
                turn(entry, "Skipped", now, found.barred)
            elif found.release == target:
                turn(entry, "Skipped", now, "it has the release already")
        case "Upgrading":
            if found.barred:
                turn(entry, "Skipped", now, f"{found.barred}; it runs {found.release}")
            elif found.release == target and found.up:
                turn(entry, "Updated", now)
                entry.restarts = found.restarts
            elif found.trouble and now - entry.since >= _patience(strategy.failure_policy):
                turn(entry, "Failed", now, found.trouble)
            elif now - entry.since >= deadline:
                turn(entry, "Failed", now, f"it does not answer after {deadline.total_seconds():g} s: {_state(found)}")
        case "Updated":
            if found.barred or found.release != target:
                turn(entry, "Skipped", now, found.barred or f"it was brought to {found.release} meanwhile")
            elif why := unwell(entry, found, strategy.failure_policy, now) or _dying(entry, found.restarts, strategy):
                turn(entry, "Failed", now, why)
            elif failing is not None:
                _fail(entry, failing, now)
        case "Failed":  # of a release that waits for a person
            well = failing is None and not unwell(entry, found, strategy.failure_policy, now)
            if well and found.release == target and found.up:
                turn(entry, "Updated", now, "it is well again")
                entry.restarts = found.restarts
        case "RollingBack":
            if found.release == entry.previous and found.up and found.canary is None:
                turn(entry, "RolledBack", now, entry.message)
            elif found.barred:
                turn(entry, "Skipped", now, f"{found.barred}; it runs {found.release}")


def unwell(entry: ReleasedCell, found: Facts, policy: FailurePolicy, now: datetime) -> str:
    """Why a cell with the release has failed: it, or a tenant in it, is not ready since it was begun."""
    begun = entry.begun_at or entry.since
    if found.unready_since is not None:
        return found.unready if now - max(found.unready_since, begun) >= _patience(policy) else ""
    for since, told in found.tenants_unready:
        if since >= begun and now - since >= _patience(policy):
            return told
    return ""


def _dying(entry: ReleasedCell, restarts: int, strategy: Strategy) -> str:
    """Why a cell has failed whose processes die and are started again sooner than anybody calls it not ready."""
    if entry.restarts is None or restarts < entry.restarts:  # other pods, or another process, count from 0
        entry.restarts = restarts
    died = restarts - entry.restarts
    return f"CrashLoop: its processes died {died} times" if died > strategy.failure_policy.max_restarts else ""


def _patience(policy: FailurePolicy) -> timedelta:
    return timedelta(seconds=policy.unhealthy_seconds)


def _state(found: Facts) -> str:
    return found.trouble or found.unready or f"it runs {found.release}"
