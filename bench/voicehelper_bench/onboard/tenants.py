"""Tenants through the resource store, timed by its watch."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from voicehelper_core import embedded_store
from voicehelper_core.errors import NotFound
from voicehelper_crds import Cell, Tenant
from voicehelper_embedded.throwaway import Platform, tenant

_ONE_SECONDS, _ALL_SECONDS = 180.0, 1800.0
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Onboarded:
    """Seconds from the apply to ``Ready`` as a client sees it, and to each condition as the status says."""

    ready: float
    conditions: dict[str, float]


class Tenants:
    """Use it as a context: it watches meanwhile."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._pool: Any = None
        self._store: Any = None
        self._task: asyncio.Task[None] | None = None
        self._ready: dict[str, asyncio.Future[Tenant]] = {}
        self._gone: dict[str, asyncio.Future[None]] = {}
        self._made: set[str] = set()

    async def __aenter__(self) -> Tenants:
        self._pool = await embedded_store.connect(self.platform.postgres_dsn)
        self._store = embedded_store.PostgresResourceStore(self._pool)
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._task
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._pool.close()

    async def _watch(self) -> None:
        async for change in self._store.watch(Tenant):
            if change.type == "deleted":
                if waiting := self._gone.pop(change.name, None):
                    waiting.set_result(None)
            elif isinstance(change.resource, Tenant) and change.resource.status.phase == "Ready":
                found = self._ready.pop(change.name, None)
                if found is not None:
                    found.set_result(change.resource)

    async def cell_id(self, name: str) -> str:
        """The id of a cell that is there."""
        found = (await self._store.get(Cell, name)).status.cell_id
        assert found
        return str(found)

    async def onboard(self, name: str, plan: str, cell: str | None, seconds: float = _ONE_SECONDS) -> Onboarded:
        """Apply and wait. Raises TimeoutError with what the tenant says of itself."""
        waiting = self._ready[name] = asyncio.get_running_loop().create_future()
        self._made.add(name)
        started, at = time.perf_counter(), datetime.now(UTC)
        placement = {"placement": {"cell": cell}} if cell else {}
        await self._store.apply(tenant(name, plan, **placement))
        try:
            ready = await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            now = await self._store.get(Tenant, name)
            raise TimeoutError(f"{name} is not Ready after {seconds:g} s: {now.status.conditions}") from None
        took = time.perf_counter() - started
        held = [item for item in ready.status.conditions if item.status == "True" and item.last_transition_time]
        return Onboarded(took, {item.type: (item.last_transition_time - at).total_seconds() for item in held})

    async def many(self, names: list[str], plan: str, cells: list[str]) -> tuple[float, list[float]]:
        """Apply all as fast as the store takes them; seconds until all are Ready, and of each."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, name: str) -> float:
            async with gate:
                return (await self.onboard(name, plan, cells[number % len(cells)], _ALL_SECONDS)).ready

        started = time.perf_counter()
        ready = await asyncio.gather(*(one(number, name) for number, name in enumerate(names)))
        return time.perf_counter() - started, list(ready)

    async def delete(self, name: str, seconds: float = _ONE_SECONDS) -> float:
        """Delete and wait until it is gone; seconds. Raises TimeoutError."""
        waiting = self._gone[name] = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        try:
            await self._store.delete(Tenant, name)
        except NotFound:
            self._gone.pop(name)
            self._made.discard(name)
            return 0.0
        assert self._task  # which ends first where the benchmark is interrupted
        await asyncio.wait({waiting, self._task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise TimeoutError(f"{name} was not seen to go within {seconds:g} s")
        self._made.discard(name)
        return time.perf_counter() - started

    async def delete_all(self) -> None:
        """Whatever is left."""
        await asyncio.gather(*(self.delete(name, _ALL_SECONDS) for name in list(self._made)))
