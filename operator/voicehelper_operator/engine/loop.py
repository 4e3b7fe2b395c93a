"""Runs a reconciler for the keys of a queue."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from voicehelper_core.errors import Conflict, NotFound, Unavailable
from voicehelper_core.log import get_logger

from voicehelper_operator.engine import metrics
from voicehelper_operator.engine.queue import WorkQueue

log = get_logger(__name__)
RECONCILE_SECONDS = 600.0
LOOK_SECONDS = 0.5
"""How often a running reconcile looks whether its operator still leads."""


@dataclass(frozen=True, slots=True)
class Result:
    """When to look again, at the latest; neither leaves it to changes and the resync."""

    after: float | None = None
    """Seconds; 0 goes on at once, so that what was begun is not put behind everything else."""
    again: bool = False
    """Not there yet: look again with back-off."""
    progress: bool = False
    """It came nearer: the back-off starts anew, so that what was waited for long is not found late."""


class Leading(Protocol):
    """Whether this operator may act."""

    def holds(self) -> bool:
        """Now."""
        ...

    async def wait(self) -> object:
        """Until it may."""
        ...


class Reconciler(Protocol):
    """Brings one object a step nearer to its spec; safe to run at any time and to die anywhere."""

    kind: str

    async def reconcile(self, name: str) -> Result:
        """May raise anything; the key backs off then."""
        ...


class Worker:
    """``at_once`` tasks that take keys and reconcile them."""

    def __init__(self, reconciler: Reconciler, queue: WorkQueue, at_once: int, leading: Leading) -> None:
        self._reconciler, self.queue, self._at_once, self._leading = reconciler, queue, at_once, leading
        metrics.QUEUE_DEPTH.labels(reconciler.kind).set_function(lambda: len(queue))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            await self._leading.wait()
            await self._one(key)

    async def _led(self, key: str) -> Result:
        """Reconcile while this operator leads. Raises Unavailable when it does no longer: another one may act now."""
        task = asyncio.create_task(self._reconciler.reconcile(key))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_SECONDS)
                if not self._leading.holds() and not task.done():
                    raise Unavailable("the lease is lost: the reconcile was stopped")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return task.result()

    async def _one(self, key: str) -> None:
        kind, started = self._reconciler.kind, time.perf_counter()
        try:
            async with asyncio.timeout(RECONCILE_SECONDS):
                while (result := await self._led(key)).after == 0:
                    pass
        except NotFound:
            self.queue.forget(key)
            self.queue.done(key)
            outcome = "gone"
        except Conflict as error:  # somebody wrote meanwhile: what was decided on is not so any more
            self.queue.failed(key)
            outcome = "waiting"
            log.info("changed meanwhile", kind=kind, name=key, error=error.detail[:300])
        except Exception as error:  # whatever a store does must not end the loop
            pause = self.queue.failed(key)
            outcome = "error"
            metrics.ERRORS.labels(kind, type(error).__name__).inc()
            log.warning(
                "reconcile failed", kind=kind, name=key, error_type=type(error).__name__, error=str(error)[:500],
                again_in_seconds=round(pause, 1), exc_info=error,
            )  # fmt: skip
        else:
            outcome = "waiting" if result.again else "done"
            if result.progress:
                self.queue.forget(key)
            if result.again:
                self.queue.failed(key)
            else:
                self.queue.done(key)
            if result.after is not None:
                self.queue.add_after(key, result.after)
        metrics.RECONCILES.labels(kind, outcome).inc()
        metrics.SECONDS.labels(kind).observe(time.perf_counter() - started)
