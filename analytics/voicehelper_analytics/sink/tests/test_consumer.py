"""Where reading begins: new topics, positions that are gone, topics that were made again; over a broker in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_analytics.sink import consumer as module
from voicehelper_analytics.sink.consumer import EventConsumer
from voicehelper_analytics.sink.progress import Gap

TOPIC = "cabcdefghijk.conversation.events"
OTHER = "czzzzzzzzzzz.conversation.events"


@dataclass
class Broker:
    """Partitions as lists of values; ``first`` is what retention left."""

    logs: dict[TopicPartition, list[bytes]] = field(default_factory=dict)
    first: dict[TopicPartition, int] = field(default_factory=dict)

    def make(self, topic: str, *values: int) -> None:
        """A topic of as many partitions as numbers, each with so many records."""
        for number, many in enumerate(values):
            self.logs[TopicPartition(topic, number)] = [f"{topic}/{number}/{i}".encode() for i in range(many)]
            self.first[TopicPartition(topic, number)] = 0

    def drop(self, topic: str) -> None:
        self.logs = {part: log for part, log in self.logs.items() if part.topic != topic}


class Admin:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def describe_topics(self) -> list[dict[str, Any]]:
        topics: dict[str, list[dict[str, int]]] = {}
        for part in self._broker.logs:
            topics.setdefault(part.topic, []).append({"partition": part.partition, "error_code": 0, "leader": 1})
        return [{"topic": name, "error_code": 0, "partitions": parts} for name, parts in topics.items()]


class Consumer:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._positions: dict[TopicPartition, int | None] = {}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def assign(self, parts: list[TopicPartition]) -> None:
        self._positions = dict.fromkeys(parts)

    def unsubscribe(self) -> None:
        self._positions = {}

    def seek(self, part: TopicPartition, offset: int) -> None:
        self._positions[part] = offset

    async def position(self, part: TopicPartition) -> int:
        position = self._positions[part]
        assert position is not None, "a partition was assigned without a position"
        return position

    async def beginning_offsets(self, parts: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {part: self._broker.first[part] for part in parts}

    async def end_offsets(self, parts: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {part: len(self._broker.logs[part]) for part in parts}

    async def getmany(self, *, timeout_ms: int = 0, max_records: int = 1000) -> dict[TopicPartition, list[Any]]:
        found: dict[TopicPartition, list[Any]] = {}
        for part in self._positions:
            position, log = await self.position(part), self._broker.logs.get(part, [])
            if not self._broker.first.get(part, 0) <= position <= len(log):
                raise OffsetOutOfRangeError({part: position})
            room = max_records - sum(map(len, found.values()))
            records = [
                SimpleNamespace(topic=part.topic, partition=part.partition, offset=position + i, value=value)
                for i, value in enumerate(log[position : position + room])
            ]
            self._positions[part] = position + len(records)
            if records:
                found[part] = records
        return found


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
async def consumer(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> EventConsumer:
    monkeypatch.setattr(module, "AIOKafkaAdminClient", lambda **_: Admin(broker))
    monkeypatch.setattr(module, "AIOKafkaConsumer", lambda **_: Consumer(broker))
    made = EventConsumer(AnalyticsSettings(topic_refresh_seconds=0, sink_interval_ms=0, sink_batch_rows=5))
    await made.start()
    return made


async def drain(consumer: EventConsumer) -> tuple[list[tuple[int, int]], list[Gap]]:
    """Partition and offset of what is read until nothing comes, and the gaps."""
    read: list[tuple[int, int]] = []
    gaps: list[Gap] = []
    idle = 0
    while idle < 2:
        gaps += await consumer.refresh()
        records = await consumer.poll()
        assert len(records) <= 5
        idle = 0 if records else idle + 1
        read += [(record.partition, record.offset) for record in records]
    return read, gaps


async def test_new_topics_are_read_from_their_start_and_others_left_alone(
    broker: Broker, consumer: EventConsumer
) -> None:
    broker.make(TOPIC, 3, 0, 2)
    broker.make("cabcdefghijk.document.events", 4)
    broker.make("cdc.conversation.messages", 4)
    broker.make("notacell.conversation.events", 4)
    consumer.resume({})
    read, gaps = await drain(consumer)
    assert sorted(read) == [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)]
    broker.make(OTHER, 1)
    assert (await drain(consumer))[0] == [(0, 0)]
    assert not gaps


async def test_reading_goes_on_where_it_stopped(broker: Broker, consumer: EventConsumer) -> None:
    broker.make(TOPIC, 9, 9)
    consumer.resume({(TOPIC, 0): 7, (TOPIC, 1): 9})
    assert (await drain(consumer))[0] == [(0, 7), (0, 8)]


async def test_what_retention_took_is_a_gap(broker: Broker, consumer: EventConsumer) -> None:
    broker.make(TOPIC, 9)
    broker.first[TopicPartition(TOPIC, 0)] = 6
    consumer.resume({(TOPIC, 0): 2})
    read, gaps = await drain(consumer)
    assert read == [(0, 6), (0, 7), (0, 8)]
    assert gaps == [Gap(TOPIC, 0, 2, 6)]


async def test_a_topic_that_was_made_again_while_the_sink_was_away_is_read_whole(
    broker: Broker, consumer: EventConsumer
) -> None:
    broker.make(TOPIC, 2, 5)
    consumer.resume({(TOPIC, 0): 4, (TOPIC, 1): 3})  # one position beyond the end gives the whole topic away
    read, gaps = await drain(consumer)
    assert len(read) == 7
    assert not gaps


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_topic_that_is_made_again_meanwhile_is_read_whole(
    broker: Broker, consumer: EventConsumer, noticed: bool
) -> None:
    broker.make(TOPIC, 4, 1)
    consumer.resume({})
    await drain(consumer)
    broker.drop(TOPIC)
    if noticed:
        await consumer.refresh()
    broker.make(TOPIC, 2, 3)
    read, gaps = await drain(consumer)
    assert sorted(read) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert not gaps


async def test_a_removed_topic_is_told_once_whether_it_was_read_or_only_known(
    broker: Broker, consumer: EventConsumer
) -> None:
    broker.make(TOPIC, 2)
    consumer.resume({(OTHER, 0): 7})
    await drain(consumer)
    assert consumer.gone() == {OTHER}
    broker.drop(TOPIC)
    await drain(consumer)
    assert consumer.gone() == {TOPIC}
    await drain(consumer)
    assert consumer.gone() == set()


async def test_a_replay_reads_exactly_its_ranges(broker: Broker, consumer: EventConsumer) -> None:
    broker.make(TOPIC, 9, 9)
    records, gaps = await consumer.read({(TOPIC, 0): (2, 4), (TOPIC, 1): (8, 9)})
    assert [(record.partition, record.offset) for record in records] == [(0, 2), (0, 3), (1, 8)]
    assert not gaps


async def test_a_replay_says_what_is_gone(broker: Broker, consumer: EventConsumer) -> None:
    broker.make(TOPIC, 9, 2)
    broker.first[TopicPartition(TOPIC, 0)] = 3
    records, gaps = await consumer.read({(TOPIC, 0): (2, 5), (TOPIC, 1): (0, 4), (OTHER, 0): (1, 3)})
    assert [(record.partition, record.offset) for record in records] == [(0, 3), (0, 4)]
    assert gaps == [Gap(TOPIC, 0, 2, 3), Gap(TOPIC, 1, 0, 4), Gap(OTHER, 0, 1, 3)]


async def test_what_comes_soon_after_a_batch_is_gathered_into_one(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AIOKafkaAdminClient", lambda **_: Admin(broker))
    monkeypatch.setattr(module, "AIOKafkaConsumer", lambda **_: Consumer(broker))
    consumer = EventConsumer(AnalyticsSettings(topic_refresh_seconds=0, sink_interval_ms=300, sink_poll_ms=0))
    await consumer.start()
    broker.make(TOPIC, 1)
    consumer.resume({})
    await consumer.refresh()
    assert len(await consumer.poll()) == 1  # the first is not held back for others
    log = broker.logs[TopicPartition(TOPIC, 0)]
    log.append(b"second")
    poll = asyncio.create_task(consumer.poll())
    for _ in range(10):
        await asyncio.sleep(0)
    log.append(b"third")
    assert [record.value for record in await poll] == [b"second", b"third"]
