"""Listens to a watch while a test goes on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing


class Watcher:
    """Collects changes while a test goes on."""

    def __init__(self, changes):
        self.seen, self._changes = [], changes
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        async with aclosing(self._changes) as changes:
            async for change in changes:
                self.seen.append((change.type, change.name, change.resource))

    async def until(self, *wanted):
        async with asyncio.timeout(20):
            while not set(wanted) <= {(type_, name) for type_, name, _ in self.seen}:
                await asyncio.sleep(0.02)

    async def end(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
