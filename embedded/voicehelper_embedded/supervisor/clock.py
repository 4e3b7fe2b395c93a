"""Time as a watcher may count it."""

from __future__ import annotations

import asyncio
import time

_TICK = 0.25


class AwakeClock:
    """Monotonic seconds without those in which this process itself got no time.

    On a starved machine probes fail because the asking is late; that says nothing about who is asked.
    """

    def __init__(self) -> None:
        self._lost = 0.0

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic() - self._lost

    async def run(self) -> None:
        """Notice how late the event loop is, until cancelled."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_TICK)
            self._lost += time.monotonic() - before - _TICK
