"""From what is seen and the time to the next status of a release. Pure: killed anywhere, it goes on exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import ReleasePhase, Strategy

from voicehelper_operator.engine.conditions import Judgement, merged, no, yes
from voicehelper_operator.releases import memory, shifting, waves
from voicehelper_operator.releases.ending import decide
from voicehelper_operator.releases.going import go, held
from voicehelper_operator.releases.observe import Observation
from voicehelper_operator.releases.progress import IN_FLIGHT, OVER, entries, noted

_SOON, _LATER = 1.0, 15.0


@dataclass(frozen=True, slots=True)
class Advanced:
    """The status as it should be, and when to look again at the latest (seconds; None: only when something changes)."""

    status: CellReleaseStatus
    after: float | None


def finished(status: CellReleaseStatus) -> bool:
    """Whether nothing more will be done by itself."""
    return status.finished_at is not None


def advance(seen: Observation) -> Advanced:
    """One step of the release."""
    status = _copied(seen.release.status)
    spec, now = seen.release.spec, seen.now
    status.observed_generation = seen.release.metadata.generation or 0
    back = status.ended is not None and status.ended.cause == "Rollback"
    if finished(status) and (spec.rollback is None or seen.superseded or back or status.started_at is None):
        return Advanced(_told(seen, status), None)
    if status.started_at is None:
        status.strategy = waves.settled(seen.strategy)
        if seen.refusal is not None or seen.queued_behind or spec.state != "Run":
            return _unbegun(seen, status, status.strategy)
        status.waves, status.started_at = waves.chosen(seen, status.strategy, now), now
    assert status.strategy is not None
    status.skipped = status.skipped or spec.skip
    noted(seen, status, status.strategy)
    decide(seen, status, status.strategy)
    why = go(seen, status, status.strategy) if status.ended is None else None
    status.held = held(*why, status.held, seen) if why else None
    if _over(status):
        status.finished_at = now
    return Advanced(_told(seen, status), _after(seen, status))


def _copied(status: CellReleaseStatus) -> CellReleaseStatus:
    """With waves and cells of its own; the rest is replaced, never changed. (A deep copy takes ten times as long.)"""
    copied = status.model_copy()
    copied.waves = [
        wave.model_copy(update={"cells": [entry.model_copy() for entry in wave.cells]}) for wave in status.waves
    ]
    return copied


def _over(status: CellReleaseStatus) -> bool:
    if status.ended is not None:
        return not any(entry.phase in ("RollingBack", *IN_FLIGHT) for _, entry in entries(status))
    settled = all(entry.phase in OVER for _, entry in entries(status))
    return settled and all(wave.phase == "Done" for wave in status.waves)


def _unbegun(seen: Observation, status: CellReleaseStatus, strategy: Strategy) -> Advanced:
    """Until it begins, the status shows the waves that it would have."""
    status.waves = waves.chosen(seen, strategy, seen.release.metadata.creation_timestamp or seen.now)
    if seen.refusal is None and seen.release.spec.state == "Stop":
        status.finished_at = seen.now
    elif seen.refusal is None and not seen.queued_behind:
        status.held = held("Paused", "spec.state is Pause: set it to Run to begin", status.held, seen)
    return Advanced(_told(seen, status), None)


def _after(seen: Observation, status: CellReleaseStatus) -> float | None:
    """Cells and tenants that change bring it here sooner; clocks do not."""
    if finished(status):
        return None
    assert status.strategy is not None
    ends = [
        wave.since + timedelta(seconds=waves.rules_of(status.strategy, wave.name).bake.seconds)
        for wave in status.waves
        if wave.phase == "Baking"
    ]
    left = [(end - seen.now).total_seconds() for end in ends if end > seen.now]
    left += [after for wave in status.waves if (after := memory.left(status, wave)) is not None]
    unwell = any(
        entry.phase in ("Upgrading", "RollingBack") or (entry.phase == "Updated" and not _well(seen, entry.cell))
        for _, entry in entries(status)
    )
    left += [after for _, entry in entries(status) if (after := shifting.left(seen, status, entry)) is not None]
    return max(0.05, min([_SOON if unwell else _LATER, *left]))


def _well(seen: Observation, cell: str) -> bool:
    found = seen.cells.get(cell)
    return found is None or (found.unready_since is None and not found.tenants_unready)


def _phase(seen: Observation, status: CellReleaseStatus) -> ReleasePhase:
    if status.started_at is None:
        if seen.refusal is not None:
            return "Refused"
        if status.finished_at is not None:
            return "Stopped"
        return "Queued" if seen.queued_behind else "Held"
    if status.ended is not None:
        if not finished(status):
            return "RollingBack"
        return "Stopped" if status.ended.cause == "Stop" else "RolledBack"
    if finished(status):
        return "Complete"
    return "Held" if status.held is not None else "Running"


def _told(seen: Observation, status: CellReleaseStatus) -> CellReleaseStatus:
    """With phase and conditions."""
    status.phase = _phase(seen, status)
    status.conditions = merged(status.conditions, _judged(seen, status), status.observed_generation, seen.now)
    return status


def _judged(seen: Observation, status: CellReleaseStatus) -> list[Judgement]:
    done = sum(entry.phase == "Updated" for _, entry in entries(status))
    told = f"{done} of {sum(1 for _ in entries(status))} cells have it"
    if status.phase == "Refused" and seen.refusal is not None:
        return [no("Accepted", *seen.refusal), no("Progressing", *seen.refusal), no("Complete", "Refused")]
    accepted = yes("Accepted", "Valid")
    if finished(status) and seen.superseded and seen.release.spec.rollback is not None and status.started_at:
        later = no("Progressing", "Superseded", "cells have a later release: roll that one back first")
        return [accepted, later, no("Complete", "Superseded", told)]
    match status.phase:
        case "Queued":
            waits = no("Progressing", "Queued", f"release '{seen.queued_behind}' has to end first")
            return [accepted, waits, no("Complete", "Queued")]
        case "Complete":
            return [accepted, no("Progressing", "Complete", told), yes("Complete", "AllWaves", told)]
        case "Stopped" | "RolledBack":
            why = status.ended.message if status.ended is not None else "it was stopped before it began"
            return [accepted, no("Progressing", status.phase, why), no("Complete", status.phase, told)]
        case "Held":
            assert status.held is not None
            waits = no("Progressing", status.held.reason, status.held.message)
            return [accepted, waits, no("Complete", "Held", told)]
        case "RollingBack":
            back = sum(entry.phase == "RollingBack" for _, entry in entries(status))
            goes = yes("Progressing", "RollingBack", f"{back} cells are on their way back")
            return [accepted, goes, no("Complete", "RollingBack", told)]
    return [accepted, yes("Progressing", "Running", told), no("Complete", "Running", told)]
