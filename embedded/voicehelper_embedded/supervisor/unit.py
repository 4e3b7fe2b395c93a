"""Keeps one component running."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voicehelper_core.log import get_logger

from voicehelper_embedded.supervisor.process import Launch, Process, start
from voicehelper_embedded.supervisor.state import Known, ProcessTable

log = get_logger(__name__)
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STABLE_SECONDS = 30.0
_PROBE_STARTING = 0.15
_PROBE_READY = 2.0
_FAILURES_UNTIL_RESTART = 15  # of the probe, 2 s apart: what does not answer for half a minute is started again


class Component(Protocol):
    """What the supervisor needs to know of a component."""

    name: str
    requires: tuple[str, ...]
    start_seconds: float

    async def prepare(self) -> Launch:
        """Write its files and say what to start; may wait for what others prepare. Raises OSError, RuntimeError."""
        ...

    async def probe(self) -> str | None:
        """None when it answers, or what is missing. May raise anything while it starts."""
        ...

    async def setup(self) -> None:
        """What must be there before dependants start; idempotent, run after every start."""
        ...


@dataclass(slots=True)
class State:
    """What ``status`` shows of a component."""

    state: str = "waiting"
    message: str = ""
    restarts: int = 0
    ready_after: float | None = None


class Unit:
    """Runs a component until it is stopped: start or adopt, wait, set up, watch, restart with back-off."""

    def __init__(self, component: Component, table: ProcessTable, logs: Path) -> None:
        self.component, self._table = component, table
        self.log_file = logs / f"{component.name}.log"
        self.state = State()
        self.ready = asyncio.Event()
        self.process: Process | None = None
        self._changed = asyncio.Event()
        self._stopping = False

    def refresh(self) -> None:
        """Prepare anew now and restart the process when that gave something else."""
        self._changed.set()

    async def run(self, required: list[Unit]) -> None:
        """Until cancelled; the process lives on then (a later supervisor adopts it, or ``stop`` ends it)."""
        begun, failures = time.monotonic(), 0
        for unit in required:
            self.state.message = f"waits for {unit.component.name}"
            await unit.ready.wait()
        while True:
            started = time.monotonic()
            try:
                self._changed.clear()
                await self._bring_up(begun)
                ended = await self._watch()
            except (OSError, RuntimeError, TimeoutError, KeyError, ValueError) as error:
                ended = f"{error}"
            self.ready.clear()
            if self._changed.is_set() and (self.process is None or self.process.alive()):
                continue
            failures = 0 if time.monotonic() - started > _STABLE_SECONDS else failures + 1
            pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
            self.state.state, self.state.message = "backoff", f"{ended}; starts again in {pause:g} s"
            self.state.restarts += 1
            log.warning("component ended", component=self.component.name, why=ended, restarts=self.state.restarts)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause)

    async def _bring_up(self, begun: float) -> None:
        self.state.state, self.state.message = "starting", "prepares its files"
        launch = await self.component.prepare()
        self.process = await self._adopted(launch) or self._start(launch)
        self.state.message = "starts"
        end = time.monotonic() + self.component.start_seconds
        while (missing := await self._probe()) is not None:
            if not self.process.alive():
                raise RuntimeError(f"{self.process.ending()} while starting: see {self.log_file}")
            if time.monotonic() > end:
                await self.process.stop()
                raise TimeoutError(f"not ready after {self.component.start_seconds:g} s: {missing}")
            self.state.message = missing
            await asyncio.sleep(_PROBE_STARTING)
        await self.component.setup()
        self.state.state, self.state.message = "ready", ""
        self.state.ready_after = round(time.monotonic() - begun, 1)
        self.ready.set()

    async def _adopted(self, launch: Launch) -> Process | None:
        known = self._table.get(self.component.name)
        if known is None or known.identity.process() is None:
            return None
        self.state.restarts = max(self.state.restarts, known.restarts)
        own = self.process if self.process and self.process.identity == known.identity else None
        process = own or Process(known.identity, launch)
        if known.digest == launch.digest:
            return process
        self.state.message = "stops, to start with a new configuration"
        await process.stop()
        return None

    def _start(self, launch: Launch) -> Process:
        process = start(launch, self.log_file)
        self._table.put(self.component.name, Known(process.identity, launch.digest, self.state.restarts))
        return process

    async def _probe(self) -> str | None:
        try:
            return await asyncio.wait_for(self.component.probe(), 5)
        except Exception as error:  # a starting component may fail in any way
            return f"does not answer yet ({type(error).__name__})"

    async def _watch(self) -> str:
        """Until the process ends, stops answering or has to change; says why."""
        assert self.process is not None
        failures, probed = 0, time.monotonic()
        while self.process.alive():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.2)
                return "its configuration changed"
            if time.monotonic() - probed < _PROBE_READY:
                continue
            missing, probed = await self._probe(), time.monotonic()
            failures = failures + 1 if missing else 0
            self.state.state = "degraded" if missing else "ready"
            self.state.message = missing or ""
            if failures >= _FAILURES_UNTIL_RESTART:
                await self.process.stop()
                return f"it did not answer: {missing}"
        return self.process.ending()

    async def stop(self) -> None:
        """End the process and forget it."""
        known = self._table.get(self.component.name)
        process = self.process
        if process is None and known is not None and known.identity.process() is not None:
            process = Process(known.identity, Launch([], {}))
        if process is not None:
            self.state.state, self.state.message = "stopping", ""
            await process.stop()
        self.process = None
        self._table.remove(self.component.name)
        self.state.state = "stopped"
