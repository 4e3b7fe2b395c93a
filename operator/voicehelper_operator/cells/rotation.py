"""When a cell's passwords are rotated, and what that adds to its steps. Pure.

The stores get the other account (``Opening``), the workload takes it (``Moving``), the stores lose the first
(``Closing``); ``slices.credentials`` has the phases. A runtime that cannot replace what runs without a gap stops it in
between, while the router lets requests wait as for a cell that sleeps.
"""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from voicehelper_crds import GROUP, Cell

from voicehelper_operator.slices.credentials import Rotation, digest

if TYPE_CHECKING:
    from voicehelper_operator.cells.observe import Observation
    from voicehelper_operator.cells.plan import Step

ANNOTATION = f"{GROUP}/rotate-credentials"
"""On a Cell; each value that is not the last one rotates once."""
_SPREAD = 0.1
"""Cells of one age come at different times of the last tenth of it."""


def asked(cell: Cell) -> str:
    """Digest of what the annotation says now; empty without one."""
    value = cell.metadata.annotations.get(ANNOTATION)
    return "" if value is None else digest(value)


def due(cell: Cell, rotation: Rotation, days: int, now: datetime) -> bool:
    """Whether a rotation should begin: somebody asks for one, or the passwords are too old (never with 0 days)."""
    if rotation.phase or rotation.rotated_at is None or cell.status.cell_id is None:
        return False
    if asked(cell) not in ("", rotation.asked):
        return True
    share = zlib.crc32(cell.status.cell_id.encode()) / 2**32
    return days > 0 and now - rotation.rotated_at >= timedelta(days=days) * (1 - _SPREAD * share)


def added(seen: Observation, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of a cell with those of its rotation. A migration, and falling asleep, come first."""
    if "migrate" in steps or "park" in steps:
        return steps
    at = steps.index("slices") + 1
    match seen.rotation.phase:
        case "Opening":
            move = _move(seen, steps)
            return steps[:at] + (move if "park" in move else move + steps[at:])
        case "Moving":
            return (*steps, "close-rotation")
        case "Closing":
            return (*steps[:at], "finish-rotation", *steps[at:])
    return ("begin-rotation", *steps) if seen.due else steps


def _move(seen: Observation, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """From the stores having both accounts to the other one being the workload's."""
    if seen.seamless or seen.workload is None or "hibernate" in steps:
        return ("switch-rotation",)
    if seen.postponed:
        return ()
    return ("drain", "switch-rotation") if seen.cell.status.hibernation == "Idle" else ("park",)
