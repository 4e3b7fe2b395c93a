"""Failures other than a kill, one file each: a disk that fills up, a clock that jumps, a component that freezes, ...

A scenario prepares (``prepare``, before the clients begin), does its harm while clients work (``run``) and says what it
saw in ``stage.facts``; what must not be goes to ``stage.problems``. ``play.py`` runs one and lets the oracle judge,
``series.py`` several on platforms of their own (docs/chaos-scenarios.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from voicehelper_e2e.chaos.scenarios import (
    clock_jump,
    control_plane_away,
    disk_full,
    frozen,
    poisoned_event,
    wal_ceiling,
)
from voicehelper_e2e.chaos.scenarios.stage import Scenario

SCENARIOS: Mapping[str, Scenario] = {
    "poisoned-event": poisoned_event.SCENARIO,
    "wal-ceiling": wal_ceiling.SCENARIO,
    "frozen": frozen.SCENARIO,
    "control-plane-away": control_plane_away.SCENARIO,
    "disk-full": disk_full.SCENARIO,
    "clock-jump": clock_jump.SCENARIO,
}
"""In the order in which ``make chaos`` plays them."""

__all__ = ["SCENARIOS", "Scenario"]
