"""What happened between two statuses of a release, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voicehelper_crds.models import CellReleaseStatus

from voicehelper_operator.releases import stages
from voicehelper_operator.releases.progress import entries


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the release."""

    reason: str
    message: str
    warning: bool = False


def happened(before: CellReleaseStatus, now: CellReleaseStatus) -> Iterator[Happening]:
    """In the order of their weight."""
    if before.started_at is None and now.started_at is not None:
        waves = ", ".join(f"{wave.name} ({len(wave.cells)})" for wave in now.waves)
        yield Happening("Started", f"waves: {waves or 'none, there are no cells'}")
        if now.skipped is not None:
            yield Happening("Emergency", f"{now.skipped.actor}: {now.skipped.reason}", warning=True)
    elif before.skipped is None and now.skipped is not None:
        yield Happening("Emergency", f"{now.skipped.actor}: {now.skipped.reason}", warning=True)
    known = {(entry.cell, entry.cell_id): entry.phase for _, entry in entries(before)}
    for _, entry in entries(now):
        if entry.phase in ("Failed", "RollingBack") and known.get((entry.cell, entry.cell_id)) not in (
            "Failed",
            "RollingBack",
        ):
            why = f"cell '{entry.cell}': {entry.message}"
            yield Happening("CellFailed" if entry.phase == "Failed" else "CellGoesBack", why, warning=True)
    stages_before = {(entry.cell, entry.cell_id): stages.weight(before, entry) for _, entry in entries(before)}
    for _, entry in entries(now):
        weight = stages.weight(now, entry)
        if weight and weight != stages_before.get((entry.cell, entry.cell_id)):
            yield Happening("StageBegan", f"cell '{entry.cell}': {weight} % of the users")
    phases = {wave.name: wave.phase for wave in before.waves}
    for wave in now.waves:
        if wave.phase != phases.get(wave.name) and wave.phase in ("Running", "Baking", "Done") and wave.cells:
            told = {"Running": "WaveBegan", "Baking": "WaveBakes", "Done": "WaveDone"}[wave.phase]
            yield Happening(told, f"wave '{wave.name}' ({len(wave.cells)} cells)")
    if now.held is not None and (before.held is None or before.held.reason != now.held.reason):
        yield Happening("Held", f"{now.held.reason}: {now.held.message}", warning=now.held.reason == "Failed")
    if now.ended is not None and (before.ended is None or before.ended.cause != now.ended.cause):
        text = f"{now.ended.actor}: {now.ended.message}"
        yield Happening(
            {"Failure": "Failed", "Rollback": "RollbackAsked", "Stop": "Stopped"}[now.ended.cause], text, True
        )
    if now.phase != before.phase and now.phase in ("Complete", "RolledBack", "Stopped", "Refused"):
        progressing = next((item.message for item in now.conditions if item.type == "Progressing"), "")
        yield Happening(now.phase, progressing, warning=now.phase != "Complete")
