"""Small real processes for the supervisor to keep."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from voicehelper_embedded.home import Home
from voicehelper_embedded.supervisor import identity
from voicehelper_embedded.supervisor.process import Launch, Process
from voicehelper_embedded.supervisor.state import ProcessTable
from voicehelper_embedded.supervisor.supervisor import Supervisor
from voicehelper_embedded.supervisor.tests.running import RELEASE, install


class Sleeper:
    """A component that sleeps; ``answer`` is what its probe says."""

    start_seconds = 20.0

    def __init__(self, name: str, *requires: str, code: str = "import time; time.sleep(600)", config: str = "") -> None:
        self.name, self.requires, self.code, self.config = name, requires, code, config
        self.answer: str | None = None
        self.set_up = 0
        self.ready_order: list[str] | None = None

    async def prepare(self) -> Launch:
        return Launch(
            [sys.executable, "-c", self.code],
            {"PATH": os.environ["PATH"]},
            files={"config": self.config},
            stop_seconds=5,
        )

    async def probe(self) -> str | None:
        return self.answer

    async def setup(self) -> None:
        self.set_up += 1
        if self.ready_order is not None:
            self.ready_order.append(self.name)


class House:
    """Supervisors of one home, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "state").mkdir()
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.running: list[Supervisor] = []

    def supervisor(self) -> Supervisor:
        self.running.append(Supervisor(ProcessTable(self.folder), self.logs))
        return self.running[-1]

    async def close(self) -> None:
        for supervisor in self.running:
            await supervisor.detach()
        for supervisor in self.running:
            for unit in supervisor.units.values():
                if unit.process:
                    await unit.process.stop()
        for _, stray in identity.marked(self.folder):
            await Process(stray, Launch([], {})).stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.close()


async def eventually(check: Callable[[], object], seconds: float = 15) -> None:
    """Wait until ``check`` is true."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not check():
                await asyncio.sleep(0.02)
    assert check()


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Awaitable[None]]:
    return eventually


@pytest.fixture(name="Sleeper")
def _sleeper() -> type[Sleeper]:
    return Sleeper


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Of a platform whose cells are small programs."""
    made = Home(tmp_path / "h")
    made.make()
    install(made, RELEASE)
    return made
