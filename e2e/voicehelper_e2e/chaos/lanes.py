"""Fault points, armed one after the other; a lane for each kind of process, so that each comes back in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from voicehelper_core.fault_points import POINTS, STEPS
from voicehelper_embedded.supervisor.unit import STABLE_SECONDS

from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.recoveries import Recoveries

AT_ONCE = 6
REACHED_SECONDS = 150
"""A point that nobody gets to for so long is tried again at the end of its lane."""
SERVES_SECONDS = STABLE_SECONDS + 0.5
"""Pause after a strike: the supervisor lets those wait that die again before they have served for so long."""
_POLL_SECONDS = 0.3


def lanes() -> Mapping[str, tuple[str, ...]]:
    """All points by the process that dies there."""
    found: dict[str, tuple[str, ...]] = {}
    for step in STEPS:
        found[step.process] = (*found.get(step.process, ()), *step.points)
    return found


def wanted(lanes: Mapping[str, Sequence[str]]) -> set[str]:
    """What has to be done so that all points are got to: what ``Step.reached`` says, and the steps' names."""
    steps = [POINTS[point] for points in lanes.values() for point in points]
    return {told for step in steps for told in (step.reached, step.name)}


class Lane:
    """Strikes at its points; a few are armed at a time, in their order, and whichever is reached first strikes."""

    def __init__(
        self, fired: FiredOn, name: str, recoveries: Recoveries, struck: list[str], say: Callable[[str], None]
    ) -> None:
        self._fired, self._name = fired, name
        self._recoveries, self._struck, self._say = recoveries, struck, say

    async def run(self, points: Sequence[str]) -> None:
        """All points; one that nobody gets to is tried again, last, as long as there is time. Raises NotBack."""
        waiting = list(points)
        armed: dict[str, float] = {}
        while waiting or armed:
            before = await self._fired.pids()
            while waiting and len(armed) < AT_ONCE:
                self._fired.arm(waiting[0])
                armed[waiting.pop(0)] = time.monotonic() + REACHED_SECONDS
            await asyncio.sleep(_POLL_SECONDS)
            left = set(self._fired.armed())
            if any(point not in left for point in armed):
                struck = [point for point in armed if not self._fired.disarm(point)]
                waiting = [*(point for point in armed if point not in struck), *waiting]
                armed.clear()
                self._struck += struck
                await self._back(" and ".join(struck), before)
                await asyncio.sleep(SERVES_SECONDS)
            for point in [point for point, end in armed.items() if time.monotonic() > end]:
                if self._fired.disarm(point):  # else it has just struck
                    del armed[point]
                    waiting.append(point)
                    self._say(f"nobody got to {point} ({POINTS[point].reached}) so far")

    async def _back(self, points: str, before: Mapping[str, int]) -> None:
        """Wait for whoever died; a process that ran for a moment only (a migration) is nobody's to wait for."""
        since = time.monotonic()
        if self._name == "migrate":
            self._say(f"{points}: a migration died")
            return
        await asyncio.sleep(_POLL_SECONDS)  # the file goes a moment before the process
        now = await self._fired.pids()
        died = [n for n, pid in before.items() if self._mine(n) and now.get(n) != pid]
        for name in died:
            seconds = await self._fired.ready(name, not_pid=before[name], since=since)
            self._recoveries.add(_kind(name), seconds)
            self._say(f"{points}: {_kind(name)} back after {seconds:.1f} s")

    def _mine(self, component: str) -> bool:
        return component.startswith("cell-") if self._name == "cell" else component == self._name


def _kind(component: str) -> str:
    return "cell" if component.startswith("cell-") else component
