"""Writes batches, and does not believe ClickHouse where its disk was full.

Where a disk fills up while ClickHouse writes, it may make a part active whose files are empty, and say that the insert
succeeded; or it fails, but remembers the token of a part that it then drops, so that a second try is taken for a
duplicate (both seen with 26.9 on a full tmpfs: ADR 17). So nothing is written without some room to spare; an insert
that ends without it counts as failed; and a batch that is written again is looked up afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from voicehelper_core.log import get_logger

from voicehelper_analytics.schema.clickhouse import COLUMNS
from voicehelper_analytics.warehouse import NoRoom, Warehouse

log = get_logger(__name__)
SPARE_BYTES = 32 * 2**20
"""More than others can write to the disk while an insert or a merge of ours runs."""
_ID = COLUMNS.index("event_id")


class Writer:
    """The only writer of a warehouse. Raises NoRoom, and WarehouseError after which ``again`` has to be called."""

    def __init__(self, warehouse: Warehouse, spare: int = SPARE_BYTES) -> None:
        self._warehouse, self._spare = warehouse, spare
        self._full = False

    async def ready(self) -> None:
        """Raises NoRoom. Parts that were written as the disk filled up are looked at then, and when there is room."""
        room = self._warehouse.room()
        if room >= self._spare:
            if self._full:
                await self._warehouse.reload()
                await self._warehouse.merging(True)
                self._full = False
                log.info("the disk has room again", bytes=room)
            return
        if not self._full:
            self._full = True
            await self._warehouse.merging(False)
            await self._warehouse.reload()
            await self._warehouse.merging(False)  # the tables are others now
        raise NoRoom(
            f"ClickHouse's disk has {room >> 20} MiB left, of which {self._spare >> 20} stay free:"
            " events wait in Kafka until it has room"
        )

    async def insert(self, rows: Sequence[Sequence[Any]], token: str) -> None:
        """Insert a batch for the first time."""
        await self.ready()
        await self._warehouse.insert(rows, token)
        await self.ready()

    async def again(self, rows: Sequence[Sequence[Any]], token: str) -> None:
        """Insert a batch whose end nobody knows: afterwards it is there once, in the table and in the view."""
        await self.ready()
        await self._warehouse.reload()
        await self._warehouse.insert(rows, token)
        present = await self._warehouse.present(rows)
        missing = [row for row in rows if row[_ID] not in present]
        if missing:
            await self._warehouse.insert(missing, f"{token}-{uuid4().hex}")
        wrong = await self._warehouse.settle_minutes(rows)
        await self.ready()
        if missing or wrong:
            log.warning("ClickHouse had lost what it knew the token of", events=len(missing), minutes=wrong)
