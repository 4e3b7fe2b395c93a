"""Writes what became of a move: its status, of the version that was read only, and its events."""

from __future__ import annotations

from typing import Any

from voicehelper_core import faults
from voicehelper_core.ports import EventRecorder, ResourceStore
from voicehelper_crds import TenantMove
from voicehelper_crds.moves import MovePhase

from voicehelper_operator.engine import metrics
from voicehelper_operator.engine.conditions import Judgement, merged
from voicehelper_operator.moves.metrics import HAPPENINGS
from voicehelper_operator.moves.observe import Observation


class Reporter:
    """Of all moves."""

    def __init__(self, store: ResourceStore, events: EventRecorder) -> None:
        self._store, self._events = store, events

    async def report(
        self, seen: Observation, phase: MovePhase, message: str, *judgements: Judgement, **fields: Any
    ) -> Observation:
        """Write the status if it says something new; the observation as it is then. Raises Conflict."""
        move = seen.move
        generation = move.metadata.generation or 0
        told = {"phase": phase, "message": message[:1000], "observed_generation": generation, **fields}
        new = move.status.model_copy(update=told)
        new.conditions = merged(move.status.conditions, judgements, generation, seen.now)
        if new == move.status:
            return seen
        await faults.point("operator.move.status.before")
        updated = await self._store.update_status(
            TenantMove, move.metadata.name, new, resource_version=move.metadata.resource_version
        )
        await faults.point("operator.move.status.recorded")
        metrics.STATUS_WRITES.labels(TenantMove.kind_name).inc()
        return seen.of(updated)

    async def happened(self, seen: Observation, reason: str, message: str, *, warning: bool = False) -> None:
        """An event of the move, and of its tenant."""
        HAPPENINGS.labels(reason).inc()
        await self._events.record(seen.move, reason, message, warning=warning)
        if seen.tenant is not None and not warning:
            await self._events.record(seen.tenant, reason, f"move '{seen.move.metadata.name}': {message}")
