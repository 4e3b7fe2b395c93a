"""Reads the cells' conversation events by explicit offsets: progress lives in Postgres, not in a group.

Offsets that Kafka no longer has are never skipped in silence: they come back as gaps, which the caller records. A
topic that was removed and made again is read from its start; events that were read before are recognised by their ids.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import OffsetOutOfRangeError
from voicehelper_core.kafka import scram

from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_analytics.sink.batches import Record
from voicehelper_analytics.sink.progress import Gap, Partition, Ranges

TOPIC = re.compile(r"^[a-z][a-z0-9]{11}\.conversation\.events$")


class EventConsumer:
    """A consumer of every partition of every cell's conversation events."""

    def __init__(self, settings: AnalyticsSettings) -> None:
        self._settings = settings
        access = _access(settings)
        self._admin = AIOKafkaAdminClient(**access)
        self._consumer = AIOKafkaConsumer(
            **access,
            enable_auto_commit=False,
            auto_offset_reset="none",  # a position that is gone is an error, never a silent jump
            fetch_max_wait_ms=settings.sink_poll_ms,
        )
        self._positions: dict[Partition, int] = {}
        self._made_again: set[str] = set()
        self._topics: set[str] = set()
        self._gone: set[str] = set()
        self._refreshed = self._polled = float("-inf")

    async def start(self) -> None:
        """Connect."""
        await self._admin.start()
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect, also after a start that failed."""
        await self._consumer.stop()
        await self._admin.close()

    def resume(self, positions: Mapping[Partition, int]) -> None:
        """Go on at ``positions``; partitions without one begin at their start. ``refresh`` assigns them."""
        self._positions = dict(positions)
        self._consumer.unsubscribe()
        self._refreshed = float("-inf")

    async def refresh(self) -> list[Gap]:
        """Take in new topics and let go of removed ones, at most once per ``topic_refresh_seconds``."""
        if time.monotonic() - self._refreshed < self._settings.topic_refresh_seconds:
            return []
        wanted = await self._partitions()
        assigned = self._consumer.assignment()
        known = {topic for topic, _ in self._positions} | {part.topic for part in assigned}
        self._gone |= known - self._topics
        for part in assigned - wanted:  # a topic that comes back is another one
            self._positions.pop((part.topic, part.partition), None)
        kept = {part for part in assigned & wanted if part.topic not in self._made_again}
        gaps: list[Gap] = []
        if kept != assigned or kept != wanted:
            offsets = {part: await self._consumer.position(part) for part in kept}
            found, gaps = await self._begin(wanted - kept)
            self._consumer.assign(list(wanted))
            for part, offset in {**offsets, **found}.items():
                self._consumer.seek(part, offset)
            self._made_again.clear()
        self._refreshed = time.monotonic()
        return gaps

    def gone(self) -> set[str]:
        """Topics that Kafka no longer knows, each told once: their cells were removed."""
        gone, self._gone = self._gone, set()
        self._positions = {key: offset for key, offset in self._positions.items() if key[0] not in gone}
        return gone

    async def _partitions(self) -> set[TopicPartition]:
        described = await self._admin.describe_topics()
        self._topics = {topic["topic"] for topic in described}
        return {
            TopicPartition(topic["topic"], part["partition"])
            for topic in described
            if topic["error_code"] == 0 and TOPIC.match(topic["topic"])
            for part in topic["partitions"]
            if part["error_code"] == 0 and part["leader"] >= 0
        }

    async def _begin(self, parts: set[TopicPartition]) -> tuple[dict[TopicPartition, int], list[Gap]]:
        """Where to begin with partitions that were not read so far, and what is missing there."""
        if not parts:
            return {}, []
        first = await self._consumer.beginning_offsets(list(parts))
        last = await self._consumer.end_offsets(list(parts))
        known = {part: self._positions.get((part.topic, part.partition), first[part]) for part in parts}
        made_again = self._made_again | {part.topic for part in parts if known[part] > last[part]}
        gaps = [
            Gap(part.topic, part.partition, known[part], first[part]) for part in parts if known[part] < first[part]
        ]
        return {
            part: first[part] if part.topic in made_again else max(known[part], first[part]) for part in parts
        }, gaps

    async def poll(self) -> list[Record]:
        """Records that came, perhaps none. Soon after the last ones it waits for more, so that inserts are few."""
        most = self._settings.sink_batch_rows
        records = await self._fetch(self._settings.sink_poll_ms, most)
        if not records:
            return []
        early = self._polled + self._settings.sink_interval_ms / 1000 - time.monotonic()
        if early > 0 and len(records) < most:
            await asyncio.sleep(early)
            records += await self._fetch(0, most - len(records))
        self._polled = time.monotonic()
        return records

    async def _fetch(self, wait_ms: int, most: int) -> list[Record]:
        if not self._consumer.assignment():  # aiokafka would wait for an assignment, not for the time that it is given
            await asyncio.sleep(wait_ms / 1000)
            return []
        try:
            return _records(await self._consumer.getmany(timeout_ms=wait_ms, max_records=most))
        except OffsetOutOfRangeError as error:
            self._made_again |= {part.topic for part in error.args[0]}
            self._refreshed = float("-inf")
            return []

    async def read(self, ranges: Ranges) -> tuple[list[Record], list[Gap]]:
        """Exactly the records of ``ranges``, and what Kafka no longer has of them. ``resume`` goes on after it."""
        records: list[Record] = []
        gaps: list[Gap] = []
        there = await self._partitions()
        for (topic, number), (first, end) in sorted(ranges.items()):
            part = TopicPartition(topic, number)
            begin = await self._first_of(part, end) if part in there else end
            if begin > first:
                gaps.append(Gap(topic, number, first, min(begin, end)))
            if begin < end:
                records += await self._read(part, max(first, begin), end)
        return records, gaps

    async def _first_of(self, part: TopicPartition, end: int) -> int:
        """The first offset that Kafka has; ``end`` where the topic was made again and does not reach that far."""
        first = int((await self._consumer.beginning_offsets([part]))[part])
        last = int((await self._consumer.end_offsets([part]))[part])
        return end if last < end else first

    async def _read(self, part: TopicPartition, first: int, end: int) -> list[Record]:
        records: list[Record] = []
        self._consumer.assign([part])
        self._consumer.seek(part, first)
        while await self._consumer.position(part) < end:
            records += _records(await self._consumer.getmany(timeout_ms=1000))
        return [record for record in records if record.offset < end]


def _access(settings: AnalyticsSettings) -> dict[str, str]:
    if settings.kafka_user:
        return scram(settings.kafka_bootstrap, settings.kafka_user, settings.kafka_password)
    return {"bootstrap_servers": settings.kafka_bootstrap}


def _records(found: Mapping[TopicPartition, list[ConsumerRecord]]) -> list[Record]:
    return [Record(r.topic, r.partition, r.offset, r.value) for records in found.values() for r in records]
