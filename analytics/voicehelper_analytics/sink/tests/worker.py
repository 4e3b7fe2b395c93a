"""The sink in a process of its own, fed from a file instead of Kafka, until it has read all; prints what is counted.

``worker.py DSN CLICKHOUSE LOG``: LOG is JSON lines ``{"partition", "value"}`` (value null for a tombstone), whose
order in a partition is their offset; ``{"first": {partition: offset}}`` in the first line says what retention took.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg
from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_analytics.sink.batches import Record
from voicehelper_analytics.sink.progress import Gap, Partition, Ranges
from voicehelper_analytics.sink.service import Sink
from voicehelper_analytics.warehouse import Warehouse

TOPIC = "cabcdefghijk.conversation.events"
BATCH = 7


class FileConsumer:
    """What ``EventConsumer`` does, over the lines of a file."""

    def __init__(self, path: Path) -> None:
        head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
        self._first = {int(part): offset for part, offset in head["first"].items()}
        self._logs: dict[int, list[Record]] = {}
        for line in lines:
            log = self._logs.setdefault(line["partition"], [])
            value = None if line["value"] is None else line["value"].encode()
            log.append(Record(TOPIC, line["partition"], len(log), value))
        self._positions: dict[int, int] = {}
        self._gaps: list[Gap] = []

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def resume(self, positions: Mapping[Partition, int]) -> None:
        for part in self._logs:
            first = self._first.get(part, 0)
            known = positions.get((TOPIC, part), first)
            if known < first:
                self._gaps.append(Gap(TOPIC, part, known, first))
            self._positions[part] = max(known, first)

    async def refresh(self) -> list[Gap]:
        gaps, self._gaps = self._gaps, []
        return gaps

    def gone(self) -> set[str]:
        return set()

    async def poll(self) -> list[Record]:
        found: list[Record] = []
        for part, log in self._logs.items():
            take = log[self._positions[part] :][: BATCH - len(found)]
            self._positions[part] += len(take)
            found += take
        if not found:
            await asyncio.sleep(0.02)
        return found

    async def read(self, ranges: Ranges) -> tuple[list[Record], list[Gap]]:
        records, gaps = [], []
        for (topic, part), (first, end) in ranges.items():
            begin = max(first, min(self._first.get(part, 0), end))
            if begin > first:
                gaps.append(Gap(topic, part, first, begin))
            records += self._logs[part][begin:end]
        return records, gaps

    def ends(self) -> dict[int, int]:
        return {part: len(log) for part, log in self._logs.items()}


async def main(dsn: str, clickhouse: str, log: str) -> None:
    warehouse = Warehouse(Path(clickhouse))
    await warehouse.open()
    pool = await asyncpg.create_pool(dsn, min_size=0, max_size=3)
    ends = FileConsumer(Path(log)).ends()
    sink = Sink(AnalyticsSettings(), pool, warehouse, lambda _: FileConsumer(Path(log)))  # type: ignore[arg-type,return-value]
    task = asyncio.create_task(sink.run())
    while not task.done():
        rows = await pool.fetch("SELECT partition, next_offset FROM analytics.sink_positions")
        busy = await pool.fetchval("SELECT count(*) FROM analytics.sink_batches")
        if not busy and {row["partition"]: row["next_offset"] for row in rows} == ends:
            break
        await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    events = "SELECT count(), uniqExact(event_id) FROM message_events"
    minutes = "SELECT sum(message_count), sum(total_tokens) FROM message_stats_minute"
    counted = [int(value) for row in await warehouse.query(events) + await warehouse.query(minutes) for value in row]
    print(json.dumps(dict(zip(("rows", "unique", "counted", "tokens"), counted, strict=True))))
    await pool.close()
    await warehouse.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
