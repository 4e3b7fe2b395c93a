"""Which events ClickHouse has already: newer than all that it had at the start from memory, others by asking it.

Debezium delivers again what it sent before it died. Asking ClickHouse about each batch would cost as much as the
insert; but this process is its only writer, so what is newer than the newest row at the start can only be there when
it was inserted since. An event keeps its time however often it is delivered, so no clock has to be right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from voicehelper_analytics.schema.clickhouse import COLUMNS
from voicehelper_analytics.warehouse import Warehouse

_ID, _TIME = COLUMNS.index("event_id"), COLUMNS.index("created_at")
_MARGIN = timedelta(seconds=1)  # the table keeps milliseconds
_ALL = datetime.max.replace(tzinfo=UTC) - _MARGIN


class Known:
    """Of one session of the sink: ``open`` first, ``add`` after each insert."""

    def __init__(self, warehouse: Warehouse, most: int = 100_000) -> None:
        self._warehouse, self._most = warehouse, most
        self._horizon = _ALL
        self._batches: deque[tuple[datetime, frozenset[UUID]]] = deque()
        self._ids: set[UUID] = set()

    async def open(self) -> None:
        """Begin anew with what the table has."""
        self._batches.clear()
        self._ids.clear()
        self._horizon = await self._warehouse.newest() or datetime.min.replace(tzinfo=UTC)

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Rows that were inserted. The oldest batches are forgotten beyond ``most`` events, and asked for then."""
        if not rows:
            return
        batch = frozenset(row[_ID] for row in rows)
        self._batches.append((max(row[_TIME] for row in rows), batch))
        self._ids |= batch
        while len(self._ids) > self._most:
            newest, gone = self._batches.popleft()
            self._ids -= gone
            self._horizon = max(self._horizon, newest)

    async def present(self, rows: Iterable[Sequence[Any]]) -> set[UUID]:
        """The events of those of the rows that ClickHouse has."""
        listed = list(rows)
        old = [row for row in listed if row[_TIME] <= self._horizon + _MARGIN]
        asked = await self._warehouse.present(old) if old else set()
        return asked | {row[_ID] for row in listed if row[_ID] in self._ids}
