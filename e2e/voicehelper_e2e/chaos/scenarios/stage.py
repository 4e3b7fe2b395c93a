"""What every scenario is given, and what it gives back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.oracle import Finding
from voicehelper_e2e.chaos.platform import FiredOn

POLL_SECONDS = 0.5


@dataclass(slots=True)
class Stage:
    """A running platform with tenants, the clients' ledger, and room for what is found."""

    fired: FiredOn
    seed: int
    fast: bool
    tenants: list[str]
    say: Callable[[str], None] = print
    only: str = ""
    """A part of the scenario, such as one component; empty: all of it."""
    ledger: Ledger = field(default_factory=Ledger)
    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def chance(self) -> random.Random:
        """The same numbers for the same seed."""
        return random.Random(f"{self.seed}:scenario")

    def expect(self, holds: bool, problem: str) -> None:
        """Keep a problem where something does not hold."""
        if not holds:
            self.problems.append(problem)
            self.say(f"PROBLEM: {problem}")

    async def cli(self, *arguments: str, check: bool = True) -> str:
        """Output of a ``voicehelper`` command. Raises AssertionError where it fails."""
        return (await asyncio.to_thread(self.fired.platform.cli, *arguments, check=check, timeout=240)).stdout

    async def until(self, check: Callable[[], Awaitable[bool]], what: str, seconds: float) -> float:
        """Seconds until ``check`` holds; a problem where it does not in time."""
        begun = time.monotonic()
        while not await check():
            if time.monotonic() - begun > seconds:
                self.expect(False, f"{what} did not happen in {seconds:g} s")
                break
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - begun


@asynccontextmanager
async def unprepared(_: Stage) -> AsyncIterator[None]:
    """Nothing to do before and after."""
    yield


@dataclass(frozen=True, slots=True)
class Scenario:
    """``prepare`` surrounds the clients' work and may end with clean-up; ``run`` does the harm and is bounded."""

    promise: str
    """What the platform keeps, in one sentence."""
    run: Callable[[Stage], Awaitable[None]]
    prepare: Callable[[Stage], AbstractAsyncContextManager[None]] = unprepared
    environment: Callable[[Path], dict[str, str]] | None = None
    """What its platform has to be started with, below a folder that lasts; None: nothing of its own."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a scenario."""

    name: str
    seed: int
    promise: str
    facts: dict[str, Any]
    problems: list[str]
    findings: list[Finding]
    seconds: float

    @property
    def passed(self) -> bool:
        """The promise was kept."""
        return not (self.problems or self.findings)

    @property
    def text(self) -> str:
        """One line."""
        seen = ", ".join(f"{name} {fact}" for name, fact in self.facts.items())
        head = f"{'PASSED' if self.passed else 'FAILED'} {self.name} (seed {self.seed}, {self.seconds:.0f} s): "
        if self.passed:
            return f"{head}{self.promise} [{seen}]"
        wrong = [*self.problems, *map(str, self.findings)]
        return f"{head}{len(wrong)} problems: {'; '.join(wrong[:5])} [{seen}]"
