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
PAGE = 250
"""Rows read at once: others that live in the process are not held up for longer than these take."""


class _Watcher:
    """What one watch has delivered so far."""

    def __init__(self, kinds: Sequence[type[Resource]]) -> None:
        self.kinds = {kind.kind_name: kind for kind in kinds}
        self.version = 0
        """Everything up to it was delivered."""
        self.deletions = 0
        """Every deletion up to it was delivered, also where no tombstone tells of it any more."""
        self.synced = False
        self.known: dict[tuple[str, str], str] = {}

    async def read(self, connection: Any) -> tuple[list[Change], bool]:
        """The next changes, and whether there are more; a list of 100,000 is never in memory as a whole.

        What changes between two pages gets a version behind both, so a page needs no view of the others.
        """
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            horizon = await connection.fetchval("SELECT version FROM resources.horizon")
            gone = []
            if horizon > max(self.version, self.deletions):  # tombstones that were not read may be missing
                gone = await self._gone(connection)
                self.deletions = horizon
            objects, tombstones = [
                await connection.fetch(
                    f"SELECT * FROM resources.{table} WHERE kind = ANY($1) AND resource_version > $2"  # noqa: S608
                    " ORDER BY resource_version LIMIT $3",
                    list(self.kinds),
                    self.version,
                    PAGE,
                )
                for table in ("objects", "tombstones")
            ]
        # Behind the end of a full page of one there may be more that comes before the rest of the other.
        ends = [page[-1]["resource_version"] for page in (objects, tombstones) if len(page) == PAGE]
        found = [(row["resource_version"], "applied", row) for row in objects]
        found += [(row["resource_version"], "deleted", row) for row in tombstones]
        found = sorted((item for item in found if not ends or item[0] <= min(ends)), key=lambda item: item[0])
        changes = gone + [change for _, type_, row in found if (change := self._change(type_, row))]
        self.version = min(ends) if ends else max([self.version, horizon, *(item[0] for item in found)])
        if not ends and not self.synced:
            self.synced = True
            changes.append(Change("synced", "", "", None))
        return changes, bool(ends)

    async def _gone(self, connection: Any) -> list[Change]:
        """Deletions of what was delivered and is not there any more."""
        if not self.known:
            return []
        objects = await connection.fetch(
            "SELECT kind, name, uid FROM resources.objects WHERE kind = ANY($1)", list(self.kinds)
        )
        there = {(row["kind"], row["name"]): str(row["uid"]) for row in objects}
        gone = [key for key, uid in self.known.items() if there.get(key) != uid]
        for key in gone:
            del self.known[key]
        return [Change("deleted", kind, name, None) for kind, name in gone]

    def _change(self, type_: Any, row: Any) -> Change | None:
        """None for the removal of what was not delivered, or is known to be gone."""
        if type_ == "applied":
            document = rows.document(row)
            key = (row["kind"], row["name"])
            self.known[key] = document["metadata"]["uid"]
        else:
            document = json.loads(row["last"])
            key = (document["kind"], document["metadata"]["name"])
            if self.known.get(key) != document["metadata"]["uid"]:
                return None
            del self.known[key]
        return Change(type_, *key, rows.to_resource(self.kinds[key[0]], document))


async def watch(pool: Any, kinds: Sequence[type[Resource]], poll_seconds: float) -> AsyncIterator[Change]:
    """Never ends by itself; a lost connection is made again, and nothing is missed or told twice."""
    watcher, retry = _Watcher(kinds), _FIRST_RETRY
    while True:
        try:
            async with _listening(pool) as (connection, hint):
                while True:
                    hint.clear()
                    more = True
                    while more:
                        changes, more = await watcher.read(connection)
                        for change in changes:
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
