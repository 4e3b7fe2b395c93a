"""Events that could not be handled: read from the cells' topics and from the sink's table, and sent back.

A letter is named by the place of its event, ``<topic>/<partition>/<offset>``. What was replayed stays listed until its
topic's retention ends: handling an event twice does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg
from voicehelper_cli.failures import Failure
from voicehelper_core import names

from voicehelper_embedded.context import Context

_SECONDS = 10
_SUFFIX = f".{names.DEAD_LETTERS}"


@dataclass(frozen=True, slots=True)
class Letter:
    """An event that could not be handled."""

    id: str
    by: str
    """Who could not handle it: the cell's consumer, or ``sink``."""
    reason: str
    seen: str
    size_bytes: int
    value: bytes | None

    def shown(self) -> dict[str, Any]:
        """For programs; contents stay out."""
        return {name: fact for name, fact in asdict(self).items() if name != "value"}


def listed(context: Context) -> list[Letter]:
    """All letters, oldest first. Raises Failure when a store does not answer."""
    try:
        found = [*_of_cells(context), *asyncio.run(_of_the_sink(context))]
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise Failure(f"dead letters cannot be read now: {error}") from None
    return sorted(found, key=lambda letter: letter.seen)


def replay(context: Context, name: str) -> None:
    """Send the event to the end of its topic. Raises Failure when there is no such letter, or no value any more."""
    letter = next((letter for letter in listed(context) if letter.id == name), None)
    if letter is None:
        raise Failure(f"no dead letter '{name}': `voicehelper events dead` lists them")
    topic, partition, offset = name.rsplit("/", 2)
    key, value = None, letter.value
    original = _record(context, topic, int(partition), int(offset))
    if original is not None:
        key, value = original.key(), original.value()
    if value is None:
        raise Failure(f"the event of '{name}' has no value, or Kafka no longer has it: there is nothing to send")
    from confluent_kafka import Producer

    producer = Producer({**_access(context), "message.max.bytes": 8388608})
    producer.produce(topic, value, key=key)
    if producer.flush(_SECONDS):
        raise Failure("Kafka did not take the event")


def _access(context: Context) -> dict[str, Any]:
    return {**context.kafka_admin(), "socket.timeout.ms": _SECONDS * 1000}


def _consumer(context: Context) -> Any:
    from confluent_kafka import Consumer

    own = {"group.id": "dead-letters", "enable.auto.commit": False, "enable.partition.eof": True}
    return Consumer({**_access(context), **own})


def _of_cells(context: Context) -> Iterator[Letter]:
    from datetime import UTC, datetime

    from confluent_kafka import KafkaException, TopicPartition

    consumer = _consumer(context)
    try:
        topics = [topic for topic in consumer.list_topics(timeout=_SECONDS).topics if topic.endswith(_SUFFIX)]
        for topic in topics:
            for record in _read(consumer, TopicPartition(topic, 0, 0)):
                facts = {name: fact.decode(errors="replace") for name, fact in record.headers() or []}
                where = "/".join(facts.get(f"dead-{part}", "?") for part in ("topic", "partition", "offset"))
                seen = datetime.fromtimestamp(record.timestamp()[1] / 1000, UTC).isoformat(timespec="milliseconds")
                value, cell = record.value(), topic.removesuffix(_SUFFIX)
                yield Letter(where, f"cell-{cell}", facts.get("dead-reason", "?"), seen, len(value or b""), value)
    except KafkaException as error:
        raise Failure(f"Kafka does not answer: {error}") from None
    finally:
        consumer.close()


def _read(consumer: Any, start: Any) -> Iterator[Any]:
    """Records of a partition from an offset to its end now."""
    from confluent_kafka import KafkaError

    consumer.assign([start])
    while (record := consumer.poll(_SECONDS)) is not None:
        if record.error() is None:
            yield record
        elif record.error().code() == KafkaError._PARTITION_EOF:
            return
        else:
            raise Failure(f"Kafka does not answer: {record.error()}")


def _record(context: Context, topic: str, partition: int, offset: int) -> Any:
    """The record of an offset, or None where Kafka no longer has it."""
    from confluent_kafka import TopicPartition

    consumer = _consumer(context)
    try:
        first, last = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_SECONDS)
        if not first <= offset < last:
            return None
        record = next(_read(consumer, TopicPartition(topic, partition, offset)), None)
        return record if record is not None and record.offset() == offset else None
    finally:
        consumer.close()


async def _of_the_sink(context: Context) -> list[Letter]:
    connection = await asyncpg.connect(context.dsn("analytics"), timeout=_SECONDS)
    try:
        rows = await connection.fetch(
            "SELECT topic, partition, record_offset, reason, value, seen_at FROM analytics.dead_letters"
        )
    finally:
        await connection.close()
    return [
        Letter(
            f"{row['topic']}/{row['partition']}/{row['record_offset']}",
            "sink",
            row["reason"],
            row["seen_at"].isoformat(timespec="milliseconds"),
            len(row["value"] or b""),
            row["value"],
        )
        for row in rows
    ]
