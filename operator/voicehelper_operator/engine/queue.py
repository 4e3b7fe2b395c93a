"""A queue of keys: each runs once at a time, runs again when it was added meanwhile, and backs off after failures."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time

BASE_SECONDS = 0.2
CAP_SECONDS = 30.0
_DOUBLINGS = 30
"""More would be more than a float holds, after a thousand failures."""


class WorkQueue:
    """Keys to reconcile. Take one with ``get`` and give it back with ``done`` or ``failed``."""

    def __init__(self, base: float = BASE_SECONDS, cap: float = CAP_SECONDS) -> None:
        self._base, self._cap = base, cap
        self._ready: dict[str, None] = {}  # ordered and unique
        self._running: set[str] = set()
        self._dirty: set[str] = set()
        self._failures: dict[str, int] = {}
        self._later: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._counter = itertools.count()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str) -> None:
        """As soon as possible; a key that runs now runs once more afterwards."""
        self._due.pop(key, None)
        if key in self._running:
            self._dirty.add(key)
        else:
            self._ready[key] = None
            self._wake.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Not before ``seconds``; the earlier of several such wishes holds."""
        at = time.monotonic() + seconds
        if key in self._ready or self._due.get(key, float("inf")) <= at:
            return
        self._due[key] = at
        heapq.heappush(self._later, (at, next(self._counter), key))
        self._wake.set()

    async def get(self) -> str:
        """The next key, which counts as running until it is given back."""
        while True:
            self._promote()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._running.add(key)
                return key
            self._wake.clear()
            pause = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                continue

    def done(self, key: str) -> None:
        """It succeeded."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: str) -> float:
        """It failed: it runs again after the returned seconds, twice as many each time, with jitter."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause: float = min(self._cap, self._base * 2 ** min(count - 1, _DOUBLINGS)) * random.uniform(0.8, 1.2)  # noqa: S311
        self._release(key)
        self.add_after(key, pause)
        return pause

    def forget(self, key: str) -> None:
        """Its failures of the past count no more: it is gone, or came nearer to its spec."""
        self._failures.pop(key, None)

    def _release(self, key: str) -> None:
        self._running.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def _promote(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            at, _, key = heapq.heappop(self._later)
            if self._due.get(key) == at:
                del self._due[key]
                self.add(key)
