"""All components of a platform."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from voicehelper_core.errors import NotFound
from voicehelper_core.log import get_logger

from voicehelper_embedded.supervisor import identity, logfiles
from voicehelper_embedded.supervisor.clock import AwakeClock
from voicehelper_embedded.supervisor.process import Launch, Process
from voicehelper_embedded.supervisor.state import ProcessTable
from voicehelper_embedded.supervisor.unit import Component, Unit

log = get_logger(__name__)
_ROTATE_SECONDS = 60


class Supervisor:
    """Starts components in parallel, each after what it requires."""

    def __init__(self, table: ProcessTable, logs: Path) -> None:
        self.table, self._logs = table, logs
        self.clock = AwakeClock()
        self.units: dict[str, Unit] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, component: Component) -> Unit:
        """Run a component from now on."""
        unit = Unit(component, self.table, self._logs, self.clock)
        self.units[component.name] = unit
        required = [self.units[name] for name in component.requires]
        self._tasks[component.name] = asyncio.create_task(unit.run(required), name=component.name)
        self._tasks[component.name].add_done_callback(self._ended)
        return unit

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a component's keeper failed", component=task.get_name(), exc_info=error)
            if unit := self.units.get(task.get_name()):
                unit.state.state, unit.state.message = "failed", f"{type(error).__name__}: {error}"

    def unit(self, name: str) -> Unit:
        """A component's keeper. Raises NotFound."""
        if name not in self.units:
            raise NotFound(f"no component '{name}'; there are: {', '.join(self.units)}")
        return self.units[name]

    async def remove(self, name: str) -> None:
        """Stop a component and forget it."""
        if task := self._tasks.pop(name, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if unit := self.units.pop(name, None):
            await unit.stop()

    async def detach(self) -> None:
        """Stop keeping; the processes go on for the next supervisor."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Stop everything, dependants first, and what an earlier supervisor left behind."""
        await self.detach()
        for level in reversed(levels(self.units)):
            await asyncio.gather(*(self.units[name].stop() for name in level))
        for name, known in self.table:
            with contextlib.suppress(OSError):
                await Process(known.identity, Launch([], {}, stop_signal=known.stop_signal)).stop()
            self.table.remove(name)
        for _, stray in identity.marked(self.table.home):
            await Process(stray, Launch([], {})).stop()

    async def rotate_logs(self) -> None:
        """Keep the logs small, for as long as the supervisor lives."""
        while True:
            for log_file in self._logs.glob("*.log"):
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(logfiles.rotate, log_file)
            await asyncio.sleep(_ROTATE_SECONDS)

    def describe(self, names: Iterable[str] | None = None, *, memory: bool = True) -> list[dict[str, Any]]:
        """State of every component, in order of start."""
        return [_describe(self.units[name], memory) for name in (list(self.units) if names is None else names)]


def _describe(unit: Unit, memory: bool) -> dict[str, Any]:
    process = unit.process if unit.process and unit.process.alive() else None
    return {
        "name": unit.component.name,
        "pid": process.pid if process else None,
        "state": unit.state.state,
        "port": getattr(unit.component, "port", None),
        "rss_bytes": process.rss() if process and memory else 0,
        "restarts": unit.state.restarts,
        "message": unit.state.message,
        "ready_after_seconds": unit.state.ready_after,
    }


def levels(units: Mapping[str, Unit]) -> list[list[str]]:
    """Names by depth of requirement: level n requires something of level n-1."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((of(item) for item in units[name].component.requires if item in units), default=-1)
        return depth[name]

    found: list[list[str]] = []
    for name in units:
        while len(found) <= of(name):
            found.append([])
        found[of(name)].append(name)
    return found
