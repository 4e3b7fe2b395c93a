"""The embedded ClickHouse, through the same client that speaks to a server."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import clickhouse_connect
from clickhouse_connect.driver.exceptions import Error

from voicehelper_analytics.schema import clickhouse

T = TypeVar("T")
# One small machine is shared with everything else: a query that wants more fails instead of starving the others.
_SETTINGS = {"max_threads": 2, "max_memory_usage": 2**30, "max_execution_time": 30}
_INSERT_SETTINGS = {
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_partitions_per_insert_block": 0,
}


class WarehouseError(Exception):
    """ClickHouse refused a statement; the message is its first line."""


class NoRoom(WarehouseError):
    """The disk is nearly full; the message says how full."""


class Warehouse:
    """Opens the database and runs statements in threads; one process may own a path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client: Any = None
        self._lock = threading.Lock()  # one statement at a time: inserts are small and queries quick

    async def open(self) -> None:
        """Open (about a second) and bring the schema up to date."""
        await asyncio.to_thread(self._open)
        await self.install()

    def _open(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        self._client = clickhouse_connect.get_client(interface="chdb", path=str(self._path), settings=_SETTINGS)

    async def install(self) -> None:
        """Bring the schema up to date."""
        for statement in clickhouse.STATEMENTS:
            await self.command(statement)

    async def command(self, statement: str) -> None:
        """Run a statement without rows."""
        await self._run(lambda client: client.command(statement))

    def room(self) -> int:
        """Bytes that the disk has left."""
        disk = os.statvfs(self._path)
        return disk.f_bavail * disk.f_frsize

    async def merging(self, on: bool) -> None:
        """Whether parts are merged in the background."""
        await self.command(f"SYSTEM {'START' if on else 'STOP'} MERGES")

    async def reload(self) -> None:
        """Take the tables as they are on disk: parts that cannot be read are put aside, those that they replaced come
        back."""

        def again(client: Any) -> None:
            for table in clickhouse.TABLES:
                client.command(f"DETACH TABLE IF EXISTS {table} SYNC")
                client.command(f"ATTACH TABLE IF NOT EXISTS {table}")

        await self._run(again)

    async def close(self) -> None:
        """Close when the running statement has ended; what was inserted is on disk."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                client.close()

    async def _run(self, work: Callable[[Any], T]) -> T:
        def locked() -> T:
            with self._lock:
                if self._client is None:
                    raise WarehouseError("the warehouse is closed")
                try:
                    return work(self._client)
                except Error as error:
                    raise WarehouseError(str(error).partition("\n")[0][:500]) from error

        return await asyncio.to_thread(locked)

    async def insert(self, rows: Sequence[Sequence[Any]], token: str) -> None:
        """Insert rows of ``clickhouse.COLUMNS`` once per token, views included.

        The rows of a token must be the same each time: ClickHouse goes by the token alone.
        """
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token}
        await self._run(
            lambda client: client.insert("message_events", rows, column_names=clickhouse.COLUMNS, settings=settings)
        )

    async def settle_minutes(self, rows: Sequence[Sequence[Any]]) -> int:
        """Make the minutes of these rows what the events say; how many were wrong."""
        found = [dict(zip(clickhouse.COLUMNS, row, strict=True)) for row in rows]
        minutes = [row["created_at"].replace(second=0, microsecond=0) for row in found]
        bound = {
            "tenants": sorted({row["tenant_id"] for row in found}),
            "low": min(minutes),
            "high": max(minutes),
        }
        wrong = len(await self.query(clickhouse.MISSING_MINUTES, bound))
        if wrong:
            statement = f"INSERT INTO message_stats_minute {clickhouse.MISSING_MINUTES}"
            settings = {"insert_deduplicate": 0}  # the same difference may come again
            await self._run(lambda client: client.command(statement, parameters=bound, settings=settings))
        return wrong

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query; parameters are bound by name and type, ``{name:String}``."""
        bound = dict(parameters or {})
        return await self._run(lambda client: list(client.query(sql, parameters=bound).result_rows))

    async def newest(self) -> datetime | None:
        """The latest time of an event; None in an empty table. Read from the parts' bounds, however many rows."""
        ((moment, rows),) = await self.query("SELECT max(created_at), count() FROM message_events")
        return moment.replace(tzinfo=UTC) if rows else None

    async def present(self, rows: Iterable[Sequence[Any]]) -> set[UUID]:
        """The events of those of the rows that the table already has.

        An event keeps its tenant, its user and its time however often it is delivered: they bound the search.
        """
        found = [dict(zip(clickhouse.COLUMNS, row, strict=True)) for row in rows]
        if not found:
            return set()
        times = [row["created_at"] for row in found]
        second = timedelta(seconds=1)  # the table keeps milliseconds
        seen = await self.query(
            "SELECT event_id FROM message_events WHERE tenant_id IN {tenants:Array(String)}"
            " AND user_id IN {users:Array(String)} AND created_at >= {low:DateTime64(3, 'UTC')}"
            " AND created_at <= {high:DateTime64(3, 'UTC')} AND event_id IN {ids:Array(UUID)}",
            {
                "tenants": sorted({row["tenant_id"] for row in found}),
                "users": sorted({row["user_id"] for row in found}),
                "low": min(times) - second,
                "high": max(times) + second,
                "ids": [str(row["event_id"]) for row in found],
            },
        )
        return {row[0] for row in seen}
