"""The embedded ClickHouse, through the same client that speaks to a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import clickhouse_connect

from voicehelper_analytics.schema import clickhouse


class Warehouse:
    """Opens the database and runs statements in threads; one process may own a path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client: Any = None
        self._lock = threading.Lock()  # one statement at a time: inserts are small and queries quick

    async def open(self) -> None:
        """Open (about a second) and bring the schema up to date."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        self._client = clickhouse_connect.get_client(interface="chdb", path=str(self._path))
        for statement in clickhouse.STATEMENTS:
            self._client.command(statement)

    async def close(self) -> None:
        """Close; what was inserted is on disk."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)

    async def insert(self, rows: Sequence[Sequence[Any]], token: str) -> None:
        """Insert rows of ``clickhouse.COLUMNS`` once per token, views included.

        The rows of a token must be the same each time: only identical blocks are recognised.
        """
        await asyncio.to_thread(self._insert, rows, token)

    def _insert(self, rows: Sequence[Sequence[Any]], token: str) -> None:
        with self._lock:
            self._client.insert(
                "message_events",
                rows,
                column_names=clickhouse.COLUMNS,
                settings={
                    "insert_deduplicate": 1,
                    "insert_deduplication_token": token,
                    "deduplicate_blocks_in_dependent_materialized_views": 1,
                },
            )

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query; parameters are bound by name and type, ``{name:String}``."""
        return await asyncio.to_thread(self._query, sql, parameters)

    def _query(self, sql: str, parameters: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
        with self._lock:
            return list(self._client.query(sql, parameters=dict(parameters or {})).result_rows)

    async def present(self, events: Mapping[UUID, datetime]) -> set[UUID]:
        """Those of the events (id to creation time) that the table already has.

        The times bound the search: an event keeps its time however often it is delivered.
        """
        if not events:
            return set()
        rows = await self.query(
            "SELECT event_id FROM message_events WHERE created_at >= {low:DateTime64(3, 'UTC')}"
            " AND created_at <= {high:DateTime64(3, 'UTC')} AND event_id IN {ids:Array(UUID)}",
            {"low": min(events.values()), "high": max(events.values()), "ids": [str(event) for event in events]},
        )
        return {row[0] for row in rows}
