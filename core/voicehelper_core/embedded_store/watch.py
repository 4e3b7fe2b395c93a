"""The watch: a list, ``synced``, then every change in the order of its version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from voicehelper_crds import Resource

from voicehelper_core.embedded_store import rows
from voicehelper_core.embedded_store.connection import LOST
from voicehelper_core.embedded_store.schema import CHANNEL
from voicehelper_core.log import get_logger
from voicehelper_core.ports import Change

log = get_logger(__name__)

_FIRST_RETRY, _LAST_RETRY = 0.1, 2.0


class _Watcher:
    """What one watch has delivered so far."""

    def __init__(self, kinds: Sequence[type[Resource]]) -> None:
        self.kinds = {kind.kind_name: kind for kind in kinds}
        self.version: int | None = None
        self.known: dict[tuple[str, str], str] = {}

    async def read(self, connection: Any) -> list[Change]:
        """What happened since; everything the first time, and where tombstones may be missing."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            horizon = await connection.fetchval("SELECT version FROM resources.horizon")
            since = self.version if self.version is not None and self.version >= horizon else None
            objects = await connection.fetch(
                "SELECT * FROM resources.objects WHERE kind = ANY($1) AND resource_version > $2"
                " ORDER BY resource_version",
                list(self.kinds),
                since or 0,
            )
            tombstones = [] if since is None else await connection.fetch(
                "SELECT * FROM resources.tombstones WHERE kind = ANY($1) AND resource_version > $2",
                list(self.kinds),
                since,
            )  # fmt: skip
        changes = [self._relisted(objects)] if since is None else []
        found = [(row["resource_version"], "applied", rows.document(row)) for row in objects]
        found += [(row["resource_version"], "deleted", json.loads(row["last"])) for row in tombstones]
        changes.append([change for item in sorted(found, key=lambda item: item[0]) if (change := self._change(*item))])
        if self.version is None:
            self.version = 0
            changes.append([Change("synced", "", "", None)])
        self.version = max([self.version, horizon, *(item[0] for item in found)])
        return [change for part in changes for change in part]

    def _relisted(self, objects: Sequence[Any]) -> list[Change]:
        """Deletions of what was delivered and is not there any more."""
        there = {(row["kind"], row["name"]): str(row["uid"]) for row in objects}
        gone = [key for key, uid in self.known.items() if there.get(key) != uid]
        for key in gone:
            del self.known[key]
        return [Change("deleted", kind, name, None) for kind, name in gone]

    def _change(self, version: int, type_: Any, document: dict[str, Any]) -> Change | None:
        """None for what was delivered before, or removed before it was delivered."""
        meta = document["metadata"]
        key = (document["kind"], meta["name"])
        if type_ == "deleted":
            if self.known.get(key) != meta["uid"]:
                return None
            del self.known[key]
        elif self.version is not None and version <= self.version:
            return None
        else:
            self.known[key] = meta["uid"]
        return Change(type_, *key, rows.to_resource(self.kinds[key[0]], document))


async def watch(pool: Any, kinds: Sequence[type[Resource]], poll_seconds: float) -> AsyncIterator[Change]:
    """Never ends by itself; a lost connection is made again, and nothing is missed or told twice."""
    watcher, retry = _Watcher(kinds), _FIRST_RETRY
    while True:
        try:
            async with _listening(pool) as (connection, hint):
                while True:
                    hint.clear()
                    for change in await watcher.read(connection):
                        yield change
                    retry = _FIRST_RETRY
                    await _wait(hint, poll_seconds)
        except (*LOST, asyncpg.PostgresError) as error:
            log.warning("the watch lost its connection", error_type=type(error).__name__, retry_seconds=retry)
            await asyncio.sleep(retry)
            retry = min(retry * 2, _LAST_RETRY)


@asynccontextmanager
async def _listening(pool: Any) -> AsyncIterator[tuple[Any, asyncio.Event]]:
    """A connection, and an event that is set when it may have news, or has died."""
    hint = asyncio.Event()

    def wake(*_: object) -> None:
        hint.set()

    async with pool.acquire() as connection:
        connection.add_termination_listener(wake)
        await connection.add_listener(CHANNEL, wake)
        try:
            yield connection, hint
        finally:
            if not connection.is_closed():
                connection.remove_termination_listener(wake)
                await connection.remove_listener(CHANNEL, wake)


async def _wait(hint: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await hint.wait()
    except TimeoutError:
        pass
