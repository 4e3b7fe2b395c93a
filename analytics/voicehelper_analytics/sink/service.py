"""The sink's loop: recover, then poll, record, insert, complete."""

from __future__ import annotations

import asyncio

import asyncpg
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge
from voicehelper_core import faults
from voicehelper_core.log import get_logger

from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_analytics.sink.batches import Record, parse
from voicehelper_analytics.sink.consumer import EventConsumer
from voicehelper_analytics.sink.progress import Batch, Progress, Ranges
from voicehelper_analytics.warehouse import Warehouse

log = get_logger(__name__)
INSERTED = Counter("sink_rows", "Rows inserted into message_events")
DUPLICATES = Counter("sink_duplicates", "Deliveries of events that ClickHouse already had")
DEAD = Counter("sink_dead_letters", "Records that could not be read")
UP = Gauge("sink_up", "1 while the sink is connected")
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class Sink:
    """Moves events until it is cancelled. Every failure of a store begins the loop again from what is recorded."""

    def __init__(self, settings: AnalyticsSettings, pool: asyncpg.Pool, warehouse: Warehouse) -> None:
        self._settings, self._warehouse = settings, warehouse
        self._progress = Progress(pool)
        self.reason: str | None = "the sink is starting"

    async def run(self) -> None:
        """Never returns; cancel it."""
        failures = 0
        while True:
            try:
                await self._session()
            except (KafkaError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                failures = failures + 1 if self.reason else 1
                self.reason = f"waiting for a store: {type(error).__name__}"
                UP.set(0)
                log.warning("sink interrupted", error_type=type(error).__name__, error=str(error)[:300])
                await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1])

    async def _session(self) -> None:
        consumer = EventConsumer(self._settings)
        positions = await self._progress.positions()
        try:
            await consumer.start(positions)
            if (pending := await self._progress.pending()) is not None:
                log.info("replaying the pending batch", batch=pending.id)
                await self._finish(pending, await consumer.read(pending.ranges))
                positions = await self._progress.positions()
                await consumer.refresh(positions)
            self.reason = None
            UP.set(1)
            while True:
                await consumer.refresh(positions)
                if records := await consumer.poll():
                    await self._take(records)
        finally:
            await consumer.stop()

    async def _take(self, records: list[Record]) -> None:
        parsed = parse(records)
        present = await self._warehouse.present(parsed.times)
        DUPLICATES.inc(len(present))
        await faults.point("sink.before_begin")
        batch = await self._progress.begin(ranges_of(records), present)
        await faults.point("sink.after_begin")
        await self._finish(batch, records)

    async def _finish(self, batch: Batch, records: list[Record]) -> None:
        parsed = parse(records)
        rows = [row for event, row in parsed.rows.items() if event not in batch.skipped]
        if rows:
            await self._warehouse.insert(rows, batch.token)
        await faults.point("sink.after_insert")
        await self._progress.complete(batch, parsed.dead)
        INSERTED.inc(len(rows))
        DEAD.inc(len(parsed.dead))
        for letter in parsed.dead:
            log.error(
                "unreadable event kept in analytics.dead_letters", topic=letter.record.topic, reason=letter.reason
            )


def ranges_of(records: list[Record]) -> Ranges:
    """The offsets that a poll returned: contiguous per partition, from the first to the one after the last."""
    ranges: dict[tuple[str, int], tuple[int, int]] = {}
    for record in records:
        key = (record.topic, record.partition)
        first, end = ranges.get(key, (record.offset, record.offset + 1))
        ranges[key] = (min(first, record.offset), max(end, record.offset + 1))
    return ranges
