"""Follows ``Tenant`` and ``Cell`` resources and keeps the cache true to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from voicehelper_core.log import get_logger
from voicehelper_core.ports import Change, ResourceStore
from voicehelper_crds import Cell, Tenant

from voicehelper_router.xds import facts
from voicehelper_router.xds.cache import Cache

log = get_logger(__name__)
V = TypeVar("V")


class Follower:
    """Gathers the initial list, then applies change by change. A list that comes again replaces everything."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._listing = True
        self._tenants: dict[str, facts.TenantFacts] = {}
        self._cells: dict[str, facts.CellFacts] = {}
        self._ids: dict[str, str] = {}

    def take(self, change: Change) -> None:
        """One delivery of the watch."""
        if change.type == "synced":
            if self._listing:
                self._cache.load(self._tenants.values(), self._cells.values())
                self._listing = False
                self._cache.synced = True
                log.info("resources read", tenants=len(self._tenants), cells=len(self._cells))
            self._cache.mark(None)
            return
        resource = None if change.type == "deleted" else change.resource
        if change.kind == Tenant.kind_name:
            self._tenant(change.name, resource if isinstance(resource, Tenant) else None)
        elif change.kind == Cell.kind_name:
            self._cell(change.name, resource if isinstance(resource, Cell) else None)

    def _tenant(self, name: str, resource: Tenant | None) -> None:
        known = facts.tenant(resource) if resource else None
        if self._listing:
            _put(self._tenants, name, known)
        else:
            self._cache.set_tenant(name, known)

    def _cell(self, name: str, resource: Cell | None) -> None:
        """A recreated cell has another id: the old one goes when the new one comes."""
        known = facts.cell(resource) if resource else None
        before = self._ids.pop(name, None)
        if before and (known is None or known.cell_id != before):
            self._put_cell(before, None)
        if known:
            self._ids[name] = known.cell_id
            self._put_cell(known.cell_id, known)

    def _put_cell(self, cell_id: str, known: facts.CellFacts | None) -> None:
        if self._listing:
            _put(self._cells, cell_id, known)
        else:
            self._cache.set_cell(cell_id, known)


def _put(mapping: dict[str, V], key: str, value: V | None) -> None:
    if value is None:
        mapping.pop(key, None)
    else:
        mapping[key] = value


async def follow(store: ResourceStore, cache: Cache, retry_seconds: float) -> None:
    """For ever. The store's watch survives lost connections itself; what it cannot read is tried again from scratch."""
    while True:
        follower = Follower(cache)
        try:
            async for change in store.watch(Tenant, Cell):
                follower.take(change)
        except Exception as error:  # whatever it is, the last snapshot is better than none
            cache.mark(f"resources cannot be read ({type(error).__name__}): serving the last known routes")
            log.error("watch failed", error_type=type(error).__name__, exc_info=error)
        await asyncio.sleep(retry_seconds)


async def probe(alive: Callable[[], Awaitable[object]], cache: Cache, seconds: float) -> None:
    """For ever: say so while Postgres is away. A watch that hears nothing cannot tell that from silence."""
    lost = False
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.wait_for(alive(), timeout=5)
        except Exception as error:  # any failure means the same: no news from Postgres
            lost = True
            cache.mark(f"Postgres does not answer ({type(error).__name__}): serving the last known routes")
        else:
            if lost and cache.synced:
                cache.mark(None)
            lost = False
