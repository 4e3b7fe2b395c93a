"""Takes waves further and begins cells. Pure."""

from __future__ import annotations

from datetime import timedelta

from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import Held, ReleasedCell, Strategy, Wave, WavePhase, WaveStatus

from voicehelper_operator.releases import memory, shifting, windows
from voicehelper_operator.releases.ending import left
from voicehelper_operator.releases.observe import Observation
from voicehelper_operator.releases.progress import IN_FLIGHT, OVER, entries, turn
from voicehelper_operator.releases.waves import newcomers, rules_of


def go(seen: Observation, status: CellReleaseStatus, strategy: Strategy) -> tuple[str, str] | None:
    """Take the waves as far as they may go now; why it goes no further though there is more to do."""
    _absorb(seen, status)
    # Only where a person decides: otherwise they are on their way back already.
    broken = [(wave, entry) for wave, entry in entries(status) if entry.phase == "Failed"]
    if broken and min(left(status, wave, strategy.failure_policy) for wave, _ in broken) <= 0:
        names = ", ".join(entry.cell for _, entry in broken)
        return "Failed", f"{names}: mend them, or set spec.rollback, or spec.state to Stop"
    for wave in status.waves:
        rules = rules_of(strategy, wave.name)
        held = _wave(seen, status, strategy, wave, rules)
        if held is not None:
            return held
        if wave.phase != "Done":
            return None
    return None


def _absorb(seen: Observation, status: CellReleaseStatus) -> None:
    """Cells that came meanwhile join the last wave."""
    if status.waves and (fresh := newcomers(seen, status.waves)):
        last = status.waves[-1]
        last.cells += fresh
        if last.phase in ("Baking", "Approval", "Done"):
            _turn(seen, last, "Running")


def _wave(
    seen: Observation, status: CellReleaseStatus, strategy: Strategy, wave: WaveStatus, rules: Wave
) -> tuple[str, str] | None:
    if wave.phase in ("Pending", "Waiting"):
        if seen.release.spec.state == "Pause":
            return "Paused", "spec.state is Pause: set it to Run to go on"
        if gate := _closed(seen, rules, rules.before_gates):
            _turn(seen, wave, "Waiting")
            return "Gate", gate
        _turn(seen, wave, "Running")
    if wave.phase in ("Baking", "Approval") and not all(entry.phase in OVER for entry in wave.cells):
        _turn(seen, wave, "Running")  # one has failed meanwhile: the others are watched anew
    if wave.phase == "Running":
        held = _begin(seen, status, strategy, wave, rules)
        if not all(entry.phase in OVER for entry in wave.cells):
            return held or _stays(seen, status, wave)
        _turn(seen, wave, "Baking")
    if wave.phase == "Baking":
        nothing = not any(entry.phase == "Updated" for entry in wave.cells)
        if not nothing and not _urgent(seen) and seen.now - wave.since < timedelta(seconds=rules.bake.seconds):
            return None
        if (unknown := memory.waits(seen, status, wave)) is not None:
            return unknown
        _turn(seen, wave, "Approval")
    if wave.phase == "Approval":
        if gate := _closed(seen, rules, rules.after_gates):
            return "Gate", gate
        _turn(seen, wave, "Done")
    return None


def _begin(
    seen: Observation, status: CellReleaseStatus, strategy: Strategy, wave: WaveStatus, rules: Wave
) -> tuple[str, str] | None:
    """Begin as many cells as may be; why no more where some wait for something else than their turn."""
    waiting = [entry for entry in wave.cells if entry.phase == "Pending"]
    if not waiting:
        return None
    if seen.release.spec.state == "Pause":
        return "Paused", "spec.state is Pause: set it to Run to go on"
    if not _urgent(seen) and (shut := windows.closed(strategy, seen.now)):
        return shut
    flying = [entry for _, entry in entries(status) if entry.phase in IN_FLIGHT]
    room = min(rules.max_concurrency, left(status, wave, strategy.failure_policy))
    well = [entry for entry in waiting if not seen.cells[entry.cell].unready_since]
    open_now = [entry for entry in well if _urgent(seen) or _may_disturb(seen, entry)]
    for entry in open_now:
        if len(flying) >= room or not _fits(rules, flying, entry):
            break
        turn(entry, "Upgrading", seen.now)
        flying.append(entry)
    if flying or open_now:
        return None
    if well:
        return "OutsideWindow", f"the maintenance windows of {_names(well)} are closed"
    return _leave_out(seen, strategy, wave, waiting)


def _stays(seen: Observation, status: CellReleaseStatus, wave: WaveStatus) -> tuple[str, str] | None:
    """Why a cell does not get to its next stage."""
    found = (shifting.waits(seen, status, entry, wave.name) for entry in wave.cells)
    return next((why for why in found if why is not None), None)


def _leave_out(
    seen: Observation, strategy: Strategy, wave: WaveStatus, waiting: list[ReleasedCell]
) -> tuple[str, str] | None:
    """What is not ready before cannot be judged after: it gets some time, and is left out then."""
    last = max([wave.since, *(entry.since for entry in wave.cells if entry.phase != "Pending")])
    if seen.now - last < timedelta(seconds=strategy.progress_deadline_seconds):
        return "NotReady", f"{_names(waiting)} are not ready before the upgrade"
    for entry in waiting:
        turn(entry, "Skipped", seen.now, f"it was not ready before: {seen.cells[entry.cell].unready}")
    return None


def _fits(rules: Wave, flying: list[ReleasedCell], entry: ReleasedCell) -> bool:
    if rules.max_tenants is None or not flying:
        return True
    return sum(item.tenants for item in flying) + entry.tenants <= rules.max_tenants


def _may_disturb(seen: Observation, entry: ReleasedCell) -> bool:
    return windows.may_disturb(seen.cells[entry.cell].maintenance, seen.now)


def _closed(seen: Observation, rules: Wave, gates: list[str]) -> str:
    """What to do about the first gate that nobody has opened; empty where none is in the way."""
    if _urgent(seen):
        return ""
    opened = {(approval.wave, approval.gate) for approval in seen.release.spec.approvals}
    gate = next((gate for gate in gates if (rules.name, gate) not in opened), None)
    return "" if gate is None else f"wave '{rules.name}' waits for the approval of '{gate}' (spec.approvals)"


def _urgent(seen: Observation) -> bool:
    return seen.release.spec.skip is not None


def _turn(seen: Observation, wave: WaveStatus, phase: WavePhase) -> None:
    if wave.phase != phase:
        wave.phase, wave.since = phase, seen.now


def _names(cells: list[ReleasedCell]) -> str:
    shown = ", ".join(entry.cell for entry in cells[:3])
    return shown if len(cells) <= 3 else f"{shown} and {len(cells) - 3} more"


def held(reason: str, message: str, before: Held | None, seen: Observation) -> Held:
    """The hold, since when it is that one."""
    since = before.since if before is not None and before.reason == reason else seen.now
    actor = "spec.state" if reason == "Paused" else "operator"
    return Held(reason=reason, actor=actor, message=message[:1000], since=since)
