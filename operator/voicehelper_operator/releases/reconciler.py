"""Brings one release a step further."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from voicehelper_core import faults
from voicehelper_core.errors import NotFound, Unavailable
from voicehelper_core.log import get_logger
from voicehelper_core.ports import EventRecorder, ResourceStore
from voicehelper_crds import Cell, CellRelease

from voicehelper_operator.engine import metrics
from voicehelper_operator.engine.loop import Result
from voicehelper_operator.releases import memory, shifting
from voicehelper_operator.releases.events import happened
from voicehelper_operator.releases.history import surplus
from voicehelper_operator.releases.metrics import HAPPENINGS, ReleaseMetrics
from voicehelper_operator.releases.notices import Notices
from voicehelper_operator.releases.observe import Observation, observe
from voicehelper_operator.releases.plan import advance, finished
from voicehelper_operator.releases.traffic import TrafficReader
from voicehelper_operator.releases.waves import refused
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.workloads.interface import WorkloadRuntime

log = get_logger(__name__)
_FOLLOWING = (
    "CellsFollowThePlatform",
    "cells run the platform's own release here: set the operator's setting 'cells_follow' to 'rollouts'",
)


class ReleaseReconciler:
    """Reads all, decides purely, writes one status."""

    kind = CellRelease.kind_name

    def __init__(
        self,
        settings: OperatorSettings,
        store: ResourceStore,
        events: EventRecorder,
        traffic: TrafficReader,
        runtime: WorkloadRuntime,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._events, self._traffic, self._clock = store, events, traffic, clock
        self._runtime = runtime
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
        if cells := memory.begun(advanced.status):
            memory.weighed(replace(seen, memory=await self._memory(cells)), advanced.status)
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
        """With the figures of the cells that are judged."""
        can = self._runtime.canaries
        seen = await observe(self._store, name, self._clock(), refusal=self._refusal, canaries=can)
        if seen.refusal is None and (why := refused(seen)) is not None:
            return replace(seen, refusal=why)
        if cells := shifting.asked(seen):
            seen = replace(seen, traffic=await self._traffic.read(cells))
        if cells := memory.asked(seen):
            seen = replace(seen, memory=await self._memory(cells))
        return seen

    async def _memory(self, cells: Iterable[str]) -> dict[str, dict[str, int]]:
        """By cell and release; what cannot be asked now, or is not told, is left out."""
        found: dict[str, dict[str, int]] = {}
        for cell_id in cells:
            with contextlib.suppress(Unavailable):
                state = await self._runtime.observe(cell_id)
                if state is None:
                    found[cell_id] = {}
                elif state.memory is not None:
                    found[cell_id] = {state.release: state.memory}
                    if state.canary is not None and state.canary.memory is not None:
                        found[cell_id][state.canary.release] = state.canary.memory
        return found

    async def _forget(self) -> None:
        """Remove releases of long ago."""
        releases, cells = await self._store.list(CellRelease), await self._store.list(Cell)
        for item in surplus(releases, cells, self._history):
            with contextlib.suppress(NotFound):
                await self._store.delete(CellRelease, item.metadata.name)
                log.info("a release that ended long ago was removed", release=item.metadata.name)
