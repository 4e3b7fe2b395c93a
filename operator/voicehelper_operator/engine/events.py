"""The event that every kind has in common."""

from __future__ import annotations

from collections.abc import Iterable

from voicehelper_core.ports import EventRecorder
from voicehelper_crds import Cell, Condition, Tenant, holds

from voicehelper_operator.engine import pause


async def record_turn(events: EventRecorder, updated: Cell | Tenant, before: Iterable[Condition]) -> None:
    """``Ready`` or ``NotReady``, with the condition's reason, when the resource became the one or the other.

    ``Paused`` and ``Resumed`` as well.
    """
    before = [*before]
    was, now = holds(before, "Ready"), holds(updated.status.conditions, "Ready")
    if was is not now:
        condition = next(item for item in updated.status.conditions if item.type == "Ready")
        text = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
        await events.record(updated, "Ready" if now else "NotReady", text, warning=not now)
    rested, rests = holds(before, pause.CONDITION), holds(updated.status.conditions, pause.CONDITION)
    if rested is not rests:
        told = next(item for item in updated.status.conditions if item.type == pause.CONDITION)
        await events.record(updated, "Paused" if rests else "Resumed", told.message or told.reason)
