"""The sink's loop: recover, then poll, record, insert, complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import asyncpg
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge
from voicehelper_core import faults, postgres
from voicehelper_core.log import get_logger

from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_analytics.sink.batches import DeadLetter, Record, parse
from voicehelper_analytics.sink.consumer import EventConsumer
from voicehelper_analytics.sink.known import Known
from voicehelper_analytics.sink.progress import Batch, Gap, Progress, Ranges
from voicehelper_analytics.sink.writer import Writer
from voicehelper_analytics.warehouse import NoRoom, Warehouse, WarehouseError

log = get_logger(__name__)
INSERTED = Counter("sink_rows", "Rows inserted into message_events")
DUPLICATES = Counter("sink_duplicates", "Deliveries of events that ClickHouse already had")
DEAD = Counter("sink_dead_letters", "Records that could not be read")
LOST = Counter("sink_lost_offsets", "Offsets that Kafka no longer had when they were to be read")
UP = Gauge("sink_up", "1 while the sink is connected")
_EXPECTED = (KafkaError, WarehouseError, asyncpg.PostgresError, *postgres.LOST)
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class Sink:
    """Moves events until it is cancelled. Every failure of a store begins the loop again from what is recorded."""

    def __init__(
        self,
        settings: AnalyticsSettings,
        pool: asyncpg.Pool,
        warehouse: Warehouse,
        consume: Callable[[AnalyticsSettings], EventConsumer] = EventConsumer,
    ) -> None:
        self._settings, self._consume = settings, consume
        self._progress, self._known, self._writer = Progress(pool), Known(warehouse), Writer(warehouse)
        self.reason: str | None = "the sink is starting"

    async def run(self) -> None:
        """Never returns; cancel it."""
        failures = 0
        while True:
            try:
                await self._session()
            except Exception as error:
                failures = failures + 1 if self.reason else 1
                self.reason = (
                    str(error) if isinstance(error, NoRoom) else f"waiting after a failure: {type(error).__name__}"
                )
                UP.set(0)
                expected = isinstance(error, _EXPECTED)
                (log.warning if expected else log.error)(
                    "sink interrupted",
                    error_type=type(error).__name__,
                    error=str(error)[:300],
                    exc_info=None if expected else error,
                )
                await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1])

    async def _session(self) -> None:
        consumer = self._consume(self._settings)
        try:
            await consumer.start()
            if (pending := await self._progress.pending()) is not None:
                log.info("replaying the pending batch", batch=pending.id)
                records, gaps = await consumer.read(pending.ranges)
                await self._finish(pending, records, gaps, again=True)
            await self._known.open()
            consumer.resume(await self._progress.positions())
            while True:
                await self._writer.ready()
                if gaps := await consumer.refresh():
                    await self._progress.skip(gaps)
                    _report([], gaps)
                if gone := consumer.gone():
                    await self._progress.forget(gone)
                self.reason = None
                UP.set(1)
                if records := await consumer.poll():
                    await self._take(records)
        finally:
            await consumer.stop()

    async def _take(self, records: list[Record]) -> None:
        present = await self._known.present(parse(records).rows.values())
        DUPLICATES.inc(len(present))
        await faults.point("sink.begin.before")
        batch = await self._progress.begin(ranges_of(records), present)
        await faults.point("sink.begin.recorded")
        await self._finish(batch, records)

    async def _finish(
        self, batch: Batch, records: list[Record], gaps: Sequence[Gap] = (), *, again: bool = False
    ) -> None:
        parsed = parse(records)
        rows = [row for event, row in parsed.rows.items() if event not in batch.skipped]
        if rows:
            write = self._writer.again if again else self._writer.insert
            await write(rows, batch.token)
            self._known.add(rows)
        await faults.point("sink.insert.effect")
        await self._progress.complete(batch, parsed.dead, gaps)
        await faults.point("sink.insert.recorded")
        INSERTED.inc(len(rows))
        _report(parsed.dead, gaps)


def _report(dead: Iterable[DeadLetter], gaps: Iterable[Gap]) -> None:
    for letter in dead:
        DEAD.inc()
        log.error("unreadable event kept in analytics.dead_letters", topic=letter.record.topic, reason=letter.reason)
    for gap in gaps:
        LOST.inc(gap.end - gap.first)
        log.error(
            "events are gone from Kafka before they were read: see analytics.dead_letters",
            topic=gap.topic,
            partition=gap.partition,
            first=gap.first,
            end=gap.end,
        )


def ranges_of(records: list[Record]) -> Ranges:
    """The offsets that a poll returned, per partition from the first to the one after the last; none was left out."""
    ranges: dict[tuple[str, int], tuple[int, int]] = {}
    for record in records:
        key = (record.topic, record.partition)
        first, end = ranges.get(key, (record.offset, record.offset + 1))
        ranges[key] = (min(first, record.offset), max(end, record.offset + 1))
    return ranges
