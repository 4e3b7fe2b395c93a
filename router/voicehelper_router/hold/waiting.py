"""Who waits for a cell to wake. A request waits until its tenant's scope has changed, in the very Envoy that it is in.

That Envoy's acknowledgement counts, not what was sent: a request that goes on earlier would find the old scope.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import Counter
from enum import Enum

import prometheus_client

from voicehelper_router.xds import held, routes, scopes
from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.delta import DeltaServicer

HELD = prometheus_client.Gauge("router_held_requests", "Requests that wait for their cell to wake")
HOLDS = prometheus_client.Counter("router_holds", "Requests that waited, or were not let wait", ["outcome"])
SECONDS = prometheus_client.Histogram(
    "router_hold_seconds", "How long requests waited", buckets=(0.1, 0.3, 1, 2, 3, 5, 10, 20, 30)
)

_PIECE, _PAUSE = 50, 0.05
"""How many go on at once, and seconds until the next: a cell that just woke has no connections yet, and its breaker
opens at 1,024 requests that wait for one."""


class Outcome(Enum):
    """How a wait ended."""

    GO = "go"
    """Whatever the tenant's scope names now answers."""
    LATE = "late"
    """The cell did not wake in time."""
    CROWDED = "crowded"
    """Too many of the tenant wait."""
    FULL = "full"
    """Too many wait."""
    GONE = "gone"
    """The client went away."""


class Waiting:
    """All requests that wait, by Envoy and tenant."""

    def __init__(self, cache: Cache, servicer: DeltaServicer, *, seconds: float, per_tenant: int, total: int) -> None:
        self._cache, self._servicer = cache, servicer
        self._seconds, self._per_tenant, self._total = seconds, per_tenant, total
        self._waiting: dict[tuple[str, str], set[asyncio.Future[None]]] = {}
        self._tenants: Counter[str] = Counter()
        self._began, self._changes = secrets.token_hex(4), 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """For ever: let go whoever can, whenever facts change or an Envoy says something."""
        news = self._cache.listen()
        self._servicer.listeners.append(news)
        try:
            while True:
                await news.wait()
                news.clear()
                if self._let_go():
                    await asyncio.sleep(_PAUSE)
                    news.set()
        finally:
            self._cache.forget(news)
            self._servicer.listeners.remove(news)

    async def wait(self, node: str, tenant: str) -> Outcome:
        """Until the request can go on, or must not wait (longer)."""
        began, outcome = time.monotonic(), Outcome.GONE
        try:
            outcome = await self._wait(node, tenant)
        finally:
            HOLDS.labels(outcome.value).inc()
            SECONDS.observe(time.monotonic() - began)
        return outcome

    async def _wait(self, node: str, tenant: str) -> Outcome:
        if self._free(node, tenant):
            return Outcome.GO  # the scope changed while the request was on its way here
        if self._tenants.total() >= self._total:
            return Outcome.FULL
        if self._tenants[tenant] >= self._per_tenant:
            return Outcome.CROWDED
        free: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((node, tenant), set()).add(free)
        self._count(tenant, 1)
        try:
            async with asyncio.timeout(self._seconds):
                await free
        except TimeoutError:
            return Outcome.LATE
        finally:
            others = self._waiting[node, tenant]
            others.discard(free)
            if not others:
                del self._waiting[node, tenant]
            self._count(tenant, -1)
        return Outcome.GO

    def _count(self, tenant: str, change: int) -> None:
        before = self._tenants[tenant]
        self._tenants[tenant] += change
        if not self._tenants[tenant]:
            del self._tenants[tenant]
        HELD.inc(change)
        if 0 in (before, before + change):
            self._changes += 1
            self._changed.set()
            self._changed = asyncio.Event()

    def _let_go(self) -> bool:
        """Some of those who can go on; whether there are more."""
        going = (
            free
            for (node, tenant), waiting in self._waiting.items()
            if self._free(node, tenant)
            for free in waiting
            if not free.done()
        )
        for free in itertools.islice(going, _PIECE):
            free.set_result(None)
        return next(going, None) is not None

    def _free(self, node: str, tenant: str) -> bool:
        """Whether this Envoy has the scope that the tenant should have (or rightly none), and nobody waits there."""
        stream, snapshot = self._servicer.of_node(node), self._cache.snapshot
        if stream is None or snapshot is None:
            return False
        name = scopes.name_of(tenant)
        wanted = snapshot.scopes.get(name)
        if wanted and held.is_held(wanted.configuration):
            return False
        return stream.acknowledged(name, wanted.version if wanted else None)

    @property
    def version(self) -> str:
        """Another one whenever the first request of a tenant waits, or the last one has gone on."""
        return f"{self._began}-{self._changes}"

    def cells(self) -> dict[str, int]:
        """How many wait for each cell."""
        found: Counter[str] = Counter()
        for name, number in self._tenants.items():
            tenant = self._cache.tenants.get(name)
            if tenant and tenant.cell_id:
                found[tenant.cell_id] += number
        return dict(found)

    async def changed(self, known: str, seconds: float) -> None:
        """Until ``version`` is not the known one, for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                while self.version == known:
                    await self._changed.wait()
        except TimeoutError:
            pass

    def holds(self, tenant: str) -> bool:
        """Whether every Envoy lets the tenant's requests wait, and has acknowledged it."""
        streams, snapshot, name = self._servicer.streams, self._cache.snapshot, scopes.name_of(tenant)
        wanted = snapshot.scopes.get(name) if snapshot else None
        if not streams or wanted is None or not held.is_held(wanted.configuration):
            return False
        return all(stream.acknowledged(name, wanted.version) for stream in streams)

    def parked(self, cell_id: str) -> bool:
        """Whether no Envoy sends new requests to the cell: none has, or is being sent, a scope that names it."""
        cell, streams = self._cache.cells.get(cell_id), self._servicer.streams
        if not streams or (cell and cell.meets == "cell"):
            return False
        version = scopes.version_of(routes.cell_name(cell_id))
        return not any(stream.uses(version) for stream in streams)
