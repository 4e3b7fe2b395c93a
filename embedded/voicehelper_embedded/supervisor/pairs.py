"""The processes of one cell: the one that serves, the next one beside it, and those that leave.

Another release starts beside what serves and takes its place once it is ready: a release that cannot start never does.
Where it is to be tried first (``Workload.beside``), it stays beside until it is told otherwise. What has been replaced,
or was tried and is not wanted, ends when nobody is connected to it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil

from voicehelper_embedded.supervisor.cells import CellComponent, Workload
from voicehelper_embedded.supervisor.unit import Unit

ROUTED_SECONDS = 5.0
"""How long what was replaced goes on at least: until the router sends nobody there any more."""
LEAVING_SECONDS = 180.0
"""And at most: longer than any answer of a model may take."""
_LOOK_SECONDS = 0.5
_SUFFIXES = ("", "-b", "-c", "-d")


@dataclass(slots=True)
class Processes:
    """Of one cell."""

    serving: Unit
    next: Unit | None = None
    leaving: list[Unit] = field(default_factory=list)

    def all(self) -> Iterator[Unit]:
        """Every one that runs."""
        yield self.serving
        if self.next is not None:
            yield self.next
        yield from self.leaving

    def free_name(self, name: str) -> str:
        """A name for another process. Raises RuntimeError when too many are leaving."""
        taken = {unit.component.name for unit in self.all()}
        found = next((name + suffix for suffix in _SUFFIXES if name + suffix not in taken), None)
        if found is None:
            raise RuntimeError(f"{name} has {len(taken)} processes already: it waits for those that leave")
        return found

    def saved(self) -> list[dict[str, Any]]:
        """For the supervisor's file."""
        roles = [("serving", self.serving), *([("next", self.next)] if self.next else [])]
        roles += [("leaving", unit) for unit in self.leaving]
        found = []
        for role, unit in roles:
            cell = component(unit)
            found.append(
                {
                    "role": role,
                    "name": cell.name,
                    "workload": cell.workload.model_dump(exclude_defaults=True),
                    "http": cell.port,
                    "grpc": cell.grpc,
                    "alone": cell.alone,
                }
            )
        return found


def component(unit: Unit) -> CellComponent:
    """What the unit keeps running."""
    assert isinstance(unit.component, CellComponent)
    return unit.component


def needs_another(unit: Unit, workload: Workload) -> bool:
    """Whether the workload is another release than one that serves: then it starts beside it."""
    serves = unit.state.state in ("ready", "degraded")
    return component(unit).workload.release != workload.release and (serves or workload.beside)


def answers(unit: Unit) -> bool:
    """Whether requests can be sent there."""
    return unit.ready.is_set() and unit.state.state == "ready"


def described(unit: Unit) -> dict[str, Any]:
    """What stays beside."""
    cell, process = component(unit), unit.process
    return {
        "release": cell.workload.release,
        "ready": answers(unit),
        "rss_bytes": process.rss() if process is not None and process.alive() else 0,
        "restarts": unit.state.restarts,
        "message": unit.state.message,
        "http": f"127.0.0.1:{cell.port}",
        "grpc": f"127.0.0.1:{cell.grpc}",
    }


async def left(unit: Unit) -> None:
    """Until nobody is connected to what was replaced, or for as long as anybody may take."""
    await asyncio.sleep(ROUTED_SECONDS)
    cell, process = component(unit), unit.process
    if process is None:
        return
    try:
        async with asyncio.timeout(LEAVING_SECONDS):
            while await asyncio.to_thread(_connected, process.pid, (cell.port, cell.grpc)):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return


def _connected(pid: int, ports: tuple[int, int]) -> bool:
    """Envoy closes what is idle once it is told another address: what is left are requests under way."""
    try:
        found = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(item.status == psutil.CONN_ESTABLISHED and item.laddr and item.laddr.port in ports for item in found)
