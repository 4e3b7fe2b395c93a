"""Which releases that have ended are not kept any longer. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from voicehelper_crds import Cell, CellRelease

from voicehelper_operator.releases.assignment import newest
from voicehelper_operator.releases.progress import entries


def surplus(releases: Iterable[CellRelease], cells: Iterable[Cell], keep: int) -> list[CellRelease]:
    """Those that ended before the last ``keep``, but for what cells depend on.

    That is the one that new cells begin with, and those that cells still run: they can be taken back by it. One that
    somebody has changed since it was looked at is left alone.
    """
    ended = [item for item in releases if item.status.finished_at is not None]
    last = sorted(ended, key=lambda item: str(item.status.finished_at), reverse=True)
    first, runs = newest(ended), {(cell.metadata.name, cell.status.cell_id, cell.status.release) for cell in cells}
    return [
        item
        for item in last[keep:]
        if item is not first
        and item.metadata.deletion_timestamp is None
        and (item.metadata.generation or 0) == item.status.observed_generation
        and not any(
            entry.phase == "Updated" and (entry.cell, entry.cell_id, item.spec.release) in runs
            for _, entry in entries(item.status)
        )
    ]
