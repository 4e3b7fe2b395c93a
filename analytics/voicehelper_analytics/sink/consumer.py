"""Reads the cells' conversation events by explicit offsets: progress lives in Postgres, not in a group."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_analytics.sink.batches import Record
from voicehelper_analytics.sink.progress import Partition, Ranges

TOPIC = re.compile(r"^[a-z][a-z0-9]{11}\.conversation\.events$")


class EventConsumer:
    """A consumer of every partition of every cell's conversation events."""

    def __init__(self, settings: AnalyticsSettings) -> None:
        self._settings = settings
        access = {
            "bootstrap_servers": settings.kafka_bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": settings.kafka_password,
        }
        self._admin = AIOKafkaAdminClient(**access)
        self._consumer = AIOKafkaConsumer(
            **access,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=settings.sink_poll_ms,
        )
        self._refreshed = float("-inf")

    async def start(self, positions: Mapping[Partition, int]) -> None:
        """Connect and go to ``positions``; partitions without one begin at their start."""
        await self._admin.start()
        await self._consumer.start()
        await self.refresh(positions)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
        await self._admin.close()

    async def refresh(self, positions: Mapping[Partition, int]) -> None:
        """Take in the topics of new cells, at most once per ``topic_refresh_seconds``."""
        if time.monotonic() - self._refreshed < self._settings.topic_refresh_seconds:
            return
        self._refreshed = time.monotonic()
        wanted = {
            TopicPartition(topic["topic"], part["partition"])
            for topic in await self._admin.describe_topics()
            if TOPIC.match(topic["topic"])
            for part in topic["partitions"]
        }
        assigned = self._consumer.assignment()
        if wanted == assigned:
            return
        offsets = {part: await self._consumer.position(part) for part in assigned & wanted}
        self._consumer.assign(list(wanted))
        for part in wanted:
            offset = offsets.get(part, positions.get((part.topic, part.partition)))
            if offset is not None:
                self._consumer.seek(part, offset)

    async def poll(self) -> list[Record]:
        """Records that came, perhaps none."""
        found = await self._consumer.getmany(
            timeout_ms=self._settings.sink_poll_ms, max_records=self._settings.sink_batch_rows
        )
        return [Record(r.topic, r.partition, r.offset, r.value) for records in found.values() for r in records]

    async def read(self, ranges: Ranges) -> list[Record]:
        """Exactly the records of ``ranges``, for a replay; leaves the consumer without an assignment.

        Raises RuntimeError when Kafka no longer has them: an operator has to decide then.
        """
        records: list[Record] = []
        for (topic, number), (first, end) in ranges.items():
            part = TopicPartition(topic, number)
            self._consumer.assign([part])
            start = (await self._consumer.beginning_offsets([part]))[part]
            if start > first:
                raise RuntimeError(f"{topic}[{number}] begins at {start}; the pending batch needs {first}")
            self._consumer.seek(part, first)
            while await self._consumer.position(part) < end:
                for found in (await self._consumer.getmany(timeout_ms=1000)).values():
                    records += [Record(r.topic, r.partition, r.offset, r.value) for r in found if r.offset < end]
        self._consumer.unsubscribe()
        self._refreshed = float("-inf")
        return records
