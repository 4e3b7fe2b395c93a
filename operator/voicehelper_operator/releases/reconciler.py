"""Brings one release a step further."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from voicehelper_core import faults
from voicehelper_core.errors import NotFound
from voicehelper_core.log import get_logger
from voicehelper_core.ports import EventRecorder, ResourceStore
from voicehelper_crds import Cell, CellRelease

from voicehelper_operator.engine import metrics
from voicehelper_operator.engine.loop import Result
from voicehelper_operator.releases.events import happened
from voicehelper_operator.releases.history import surplus
from voicehelper_operator.releases.metrics import HAPPENINGS, ReleaseMetrics
from voicehelper_operator.releases.notices import Notices
from voicehelper_operator.releases.observe import Observation, observe
from voicehelper_operator.releases.plan import advance, finished
from voicehelper_operator.releases.shifting import asked
from voicehelper_operator.releases.traffic import TrafficReader
from voicehelper_operator.releases.waves import refused
from voicehelper_operator.settings import OperatorSettings

log = get_logger(__name__)
_FOLLOWING = (
    "CellsFollowThePlatform",
    "cells run the platform's own release here: set the operator's setting 'cells_follow' to 'rollouts'",
)


class ReleaseReconciler:
    """Reads all, decides purely, writes one status. ``canaries``: topologies of cells that can have stages."""

    kind = CellRelease.kind_name

    def __init__(
        self,
        settings: OperatorSettings,
        store: ResourceStore,
        events: EventRecorder,
        traffic: TrafficReader,
        *,
        canaries: frozenset[str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._events, self._traffic, self._clock = store, events, traffic, clock
        self._canaries = canaries
        self._refusal = _FOLLOWING if settings.cells_follow == "platform" else None
        self._history = settings.release_history
        self._notices, self._metrics = Notices(settings.release_webhook), ReleaseMetrics()

    async def close(self) -> None:
        """Close the connections."""
        await self._notices.close()
        await self._traffic.close()

    async def reconcile(self, name: str) -> Result:
        """Raises NotFound when it is gone, Conflict when somebody wrote meanwhile."""
        try:
            seen = await self._observe(name)
        except NotFound:
            self._metrics.forget(name)
            raise
        advanced, before = advance(seen), seen.release.status
        if advanced.status != before:
            with metrics.step(self.kind, "status"):
                await faults.point("operator.release.status.before")
                # Of this version only: an operator that has lost its lease decided on something older.
                version = seen.release.metadata.resource_version
                updated = await self._store.update_status(CellRelease, name, advanced.status, resource_version=version)
                await faults.point("operator.release.status.recorded")
            metrics.STATUS_WRITES.labels(self.kind).inc()
            for item in happened(before, advanced.status):
                HAPPENINGS.labels(item.reason).inc()
                self._notices.tell(updated, item)
                await self._events.record(updated, item.reason, item.message, warning=item.warning)
        self._metrics.show(seen.release.model_copy(update={"status": advanced.status}))
        if finished(advanced.status):
            await self._forget()
        return Result(advanced.after)

    async def _observe(self, name: str) -> Observation:
        """With the figures of the cells that are in a stage."""
        seen = await observe(self._store, name, self._clock(), refusal=self._refusal, canaries=self._canaries)
        if seen.refusal is None and (why := refused(seen)) is not None:
            return replace(seen, refusal=why)
        if cells := asked(seen):
            return replace(seen, traffic=await self._traffic.read(cells))
        return seen

    async def _forget(self) -> None:
        """Remove releases of long ago."""
        releases, cells = await self._store.list(CellRelease), await self._store.list(Cell)
        for item in surplus(releases, cells, self._history):
            with contextlib.suppress(NotFound):
                await self._store.delete(CellRelease, item.metadata.name)
                log.info("a release that ended long ago was removed", release=item.metadata.name)
