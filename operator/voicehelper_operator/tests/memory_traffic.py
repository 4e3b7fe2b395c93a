"""How the requests of cells end, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voicehelper_operator.releases.traffic import BOUNDS, Counters, Reading


def counters(requests: float = 0, errors: float = 0, slow: float = 0) -> Counters:
    """All requests within 50 ms, but those that are slow, which take a second."""
    within = (requests - slow if bound < 1 else requests for bound in BOUNDS)
    return (requests, errors, requests, *within)


@dataclass
class MemoryTraffic:
    """Each look adds ``requests`` to every cell, a share of which are ``errors`` and ``slow``, on both sides."""

    requests: int = 0
    errors: float = 0.0
    slow: float = 0.0
    problem: str = ""
    counted: dict[str, int] = field(default_factory=dict)

    async def read(self, cells: Iterable[str]) -> Reading:
        if self.problem:
            return Reading(problem=self.problem)
        serving, canary = {}, {}
        for cell in cells:
            total = self.counted[cell] = self.counted.get(cell, 0) + self.requests
            serving[cell] = {"router": counters(total)}
            canary[cell] = {"router": counters(total, int(total * self.errors), int(total * self.slow))}
        return Reading(serving, canary)

    async def close(self) -> None:
        """There is nothing to close."""
