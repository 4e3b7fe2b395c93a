"""Keeps one component running."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voicehelper_core.log import get_logger

from voicehelper_embedded.supervisor import identity
from voicehelper_embedded.supervisor.clock import AwakeClock
from voicehelper_embedded.supervisor.process import Launch, Process, start
from voicehelper_embedded.supervisor.state import Known, ProcessTable

log = get_logger(__name__)
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STABLE_SECONDS = 5.0
"""What has served for so long and ends is started again at once, however often it ended before."""
_PROBE_STARTING = 0.15
_PROBE_READY = 3.0
_PROBE_SECONDS = 5
_FAILURES_UNTIL_DEGRADED = 3  # one slow answer of a busy component is not news
UNANSWERED_SECONDS = 45.0
"""What does not answer its probes for so long (it is frozen, or hangs) is started again."""
UNREADY_SECONDS = 300.0
"""What answers, but says that it is not ready, mostly waits for others; a restart is the last resort then."""
HELD = "held"


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


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row, the first of which is 1."""
    return BACKOFF_SECONDS[min(max(failures, 1), len(BACKOFF_SECONDS)) - 1]


@dataclass(slots=True)
class State:
    """What ``status`` shows of a component."""

    state: str = "waiting"
    message: str = ""
    restarts: int = 0
    ready_after: float | None = None


class Unit:
    """Runs a component until it is stopped: start or adopt, wait, set up, watch, restart with back-off."""

    def __init__(self, component: Component, table: ProcessTable, logs: Path, clock: AwakeClock) -> None:
        self.component, self._table, self._clock = component, table, clock
        self.log_file = logs / f"{component.name}.log"
        self.state = State()
        self.ready = asyncio.Event()
        self.process: Process | None = None
        self._changed = asyncio.Event()
        self._held = False

    @property
    def mark(self) -> str:
        """What its process carries in its environment."""
        return f"{self._table.home}:{self.component.name}"

    @property
    def changing(self) -> bool:
        """Whether it was told to prepare anew and has not begun to."""
        return self._changed.is_set()

    def refresh(self) -> None:
        """Prepare anew now and restart the process when that gave something else."""
        self._changed.set()

    def hold(self) -> None:
        """Stop it and keep it stopped until ``let_go``, or until another supervisor takes over."""
        self._held = True
        self._changed.set()

    def let_go(self) -> None:
        """Run it again."""
        self._held = False
        self._changed.set()

    async def run(self, required: list[Unit]) -> None:
        """Until cancelled; the process lives on then (a later supervisor adopts it, or ``stop`` ends it)."""
        begun, failures = time.monotonic(), 0
        for unit in required:
            self.state.message = f"waits for {unit.component.name}"
            await unit.ready.wait()
        while True:
            if self._held:
                await self._rest()
            served = None
            try:
                self._changed.clear()
                await self._bring_up(begun)
                served = time.monotonic()
                ended = await self._watch()
            except Exception as error:  # whatever keeps a component down, the next try may find it gone
                ended = f"{error}" or type(error).__name__
            self.ready.clear()
            if self._changed.is_set() and (self.process is None or self.process.alive()):
                continue
            stable = served is not None and time.monotonic() - served > STABLE_SECONDS
            failures = 1 if stable else failures + 1
            pause = backoff(failures)
            self.state.state, self.state.message = "backoff", f"{ended}; starts again in {pause:g} s"
            self.state.restarts += 1
            log.warning("component ended", component=self.component.name, why=ended, restarts=self.state.restarts)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):  # not wait_for, which may swallow a cancellation in Python 3.11
                    await self._changed.wait()

    async def _rest(self) -> None:
        await self.stop()
        while self._held:
            self.state.state = HELD
            self.state.message = f"stopped on request: `voicehelper start {self.component.name}` runs it again"
            self._changed.clear()
            await self._changed.wait()

    async def _bring_up(self, begun: float) -> None:
        self.state.state, self.state.message = "starting", "prepares its files"
        launch = await self.component.prepare()
        self.process = await self._adopted(launch) or await self._start(launch)
        self.state.message = "starts"
        await self._await_ready(self.process)
        self.state.message = "is set up"
        await self.component.setup()
        self.state.state, self.state.message = "ready", ""
        self.state.ready_after = round(time.monotonic() - begun, 1)
        self.ready.set()

    async def _await_ready(self, process: Process) -> None:
        """It has its own time to answer at all; one that answers is at work (it replays, it waits for others)."""
        started, heard = self._clock.now(), False
        while True:
            missing, answered = await self._probe()
            if missing is None:
                return
            heard, waited = heard or answered, self._clock.now() - started
            if not process.alive():
                raise RuntimeError(f"{process.ending()} while starting: see {self.log_file}")
            if waited > self.component.start_seconds + (UNREADY_SECONDS if heard else 0):
                await process.stop()
                raise TimeoutError(f"not ready after {waited:.0f} s: {missing}")
            self.state.message = missing
            await process.ended(_PROBE_STARTING)

    async def _adopted(self, launch: Launch) -> Process | None:
        known = self._table.get(self.component.name)
        if known is None or not known.identity.alive():
            return None
        self.state.restarts = max(self.state.restarts, known.restarts)
        own = self.process if self.process and self.process.identity == known.identity else None
        process = own or Process(known.identity, launch)
        if known.digest == launch.digest:
            log.info("component adopted", component=self.component.name, pid=process.pid)
            return process
        self.state.message = "stops, to start with a new configuration"
        await process.stop()
        return None

    async def _start(self, launch: Launch) -> Process:
        for name, stray in identity.marked(self._table.home):  # started by a supervisor that was killed right then
            if name == self.component.name:
                await Process(stray, launch).stop()
        process = start(launch, self.log_file, self.mark)
        self._table.put(
            self.component.name, Known(process.identity, launch.digest, launch.stop_signal, self.state.restarts)
        )
        log.info("component started", component=self.component.name, pid=process.pid, restarts=self.state.restarts)
        return process

    async def _probe(self) -> tuple[str | None, bool]:
        """What is missing, if anything, and whether it answered at all."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                return await self.component.probe(), True
        except Exception as error:  # a starting component may fail in any way
            return f"does not answer ({type(error).__name__})", False

    async def _watch(self) -> str:
        """Until the process ends, stops answering or has to change; says why."""
        assert self.process is not None
        heard = ready = self._clock.now()
        failures = 0
        ended = asyncio.create_task(self.process.ended())
        changed = asyncio.create_task(self._changed.wait())
        try:
            while True:
                await asyncio.wait({ended, changed}, timeout=_PROBE_READY, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    return self.process.ending()
                if changed.done():
                    return "its configuration changed"
                asked = self._clock.now()
                missing, answered = await self._probe()
                heard, ready = asked if answered else heard, ready if missing else asked
                failures = failures + 1 if missing else 0
                if not missing or failures >= _FAILURES_UNTIL_DEGRADED:
                    self.state.state, self.state.message = ("degraded", missing) if missing else ("ready", "")
                now = self._clock.now()
                if now - heard >= UNANSWERED_SECONDS or now - ready >= UNREADY_SECONDS:
                    await self.process.stop()
                    return f"it was not ready for {now - ready:.0f} s: {missing}"
        finally:
            for task in (ended, changed):
                task.cancel()

    async def stop(self) -> None:
        """End the process and forget it."""
        known = self._table.get(self.component.name)
        process = self.process
        if process is None and known is not None and known.identity.alive():
            process = Process(known.identity, Launch([], {}, stop_signal=known.stop_signal))
        if process is not None:
            self.state.state, self.state.message = "stopping", ""
            await process.stop()
        self.process = None
        self.ready.clear()
        self._table.remove(self.component.name)
        self.state.state = "stopped"
