"""Messages in Postgres, their events in Kafka, their rows in ClickHouse and the sums of its views agree, per tenant."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from voicehelper_core import names
from voicehelper_core.events import Envelope, EventError, MessageSent

from voicehelper_e2e.chaos.oracle import warehouse
from voicehelper_e2e.chaos.oracle.finding import Finding, shortened
from voicehelper_e2e.chaos.oracle.world import World, table


class Message(NamedTuple):
    """What all stores know of a message."""

    tenant_id: str
    conversation_id: str
    message_id: str
    user_id: str
    role: str
    length: int
    model: str
    tokens: int
    cost: Decimal


class Row(NamedTuple):
    """What Kafka and ClickHouse know: the message's event."""

    event_id: str
    at: int
    """Milliseconds since 1970."""
    message: Message


class Minute(NamedTuple):
    """Key of the view of usage."""

    tenant_id: str
    user_id: str
    minute: int


Sums = tuple[int, int, Decimal, int, int]
"""Messages, tokens, cost, those of users, those of the assistant."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The four places of one tenant."""

    postgres: Counter[Message]
    kafka: Counter[Row]
    """Deliveries; Kafka Connect may deliver an event again after a kill."""
    clickhouse: Counter[Row]
    minutes: Mapping[Minute, Sums] = field(default_factory=dict)


async def check(world: World) -> list[Finding]:
    """All tenants that live."""
    stored = await _postgres(world)
    delivered = await asyncio.to_thread(_kafka, world)
    rows, minutes = await warehouse.read(world.fired)
    found: list[Finding] = []
    for tenant_id, tenant in world.tenants.items():
        seen = Seen(
            Counter({m: n for m, n in stored.items() if m.tenant_id == tenant_id}),
            Counter({r: n for r, n in delivered.items() if r.message.tenant_id == tenant_id}),
            Counter(r for r in map(_row, rows) if r.message.tenant_id == tenant_id),
            {m: s for m, s in map(_minute, minutes) if m.tenant_id == tenant_id},
        )
        found += compare(tenant.metadata.name, seen)
    return found


def compare(name: str, seen: Seen) -> list[Finding]:
    """What the four places disagree about."""
    events = set(seen.kafka)
    sent = Counter(row.message for row in events)
    kept = Counter(row.message for row in seen.clickhouse.elements())
    problems: dict[tuple[str, str], Collection[Message] | Collection[Row]] = {
        ("kafka", "messages of Postgres without an event in Kafka"): seen.postgres - sent,
        ("kafka", "events in Kafka without a message in Postgres, or two for one"): sent - seen.postgres,
        ("warehouse", "messages of Postgres that ClickHouse lacks"): seen.postgres - kept,
        ("warehouse", "rows of ClickHouse without a message in Postgres, or two for one"): kept - seen.postgres,
        ("warehouse", "events of Kafka that ClickHouse lacks or tells otherwise"): events - set(seen.clickhouse),
        ("warehouse", "rows of ClickHouse that are doubled"): [r for r, n in seen.clickhouse.items() if n > 1],
    }
    found = [
        Finding(check, name, f"{len(items)} {what}: {shortened(_named(item) for item in items)}")
        for (check, what), items in problems.items()
        if items
    ]
    wanted = sums(events)
    wrong = {key for key in wanted.keys() | seen.minutes.keys() if wanted.get(key) != seen.minutes.get(key)}
    if wrong:
        one = min(wrong)
        text = f"{len(wrong)} minutes differ; at {datetime.fromtimestamp(one.minute, UTC):%H:%M} the view says"
        found.append(Finding("views", name, f"{text} {seen.minutes.get(one)}, the events say {wanted.get(one)}"))
    return found


def sums(events: Iterable[Row]) -> dict[Minute, Sums]:
    """What the view of usage by minute has to say."""
    gathered: dict[Minute, list[Message]] = defaultdict(list)
    for row in events:
        gathered[Minute(row.message.tenant_id, row.message.user_id, row.at // 60_000 * 60)].append(row.message)
    return {
        minute: (
            len(messages),
            sum(m.tokens for m in messages),
            sum((m.cost for m in messages), Decimal(0)),
            sum(m.role == "user" for m in messages),
            sum(m.role == "assistant" for m in messages),
        )
        for minute, messages in gathered.items()
    }


def _named(item: Message | Row) -> str:
    message = item if isinstance(item, Message) else item.message
    return f"{message.role} {message.message_id}"


async def _postgres(world: World) -> Counter[Message]:
    found: Counter[Message] = Counter()
    async with world.fired.postgres() as connection:
        for cell_id in world.cells:
            rows = await connection.fetch(
                "SELECT tenant_id, conversation_id, id, user_id, role, char_length(content) AS length, model,"
                f" tokens_used, cost_usd FROM {table(cell_id, 'conversation', 'messages')} WHERE status = 'completed'"
            )
            for row in rows:
                tenant, conversation, message, user, role, length, model, tokens, cost = row
                message = str(message)
                found[Message(tenant, str(conversation), message, user, role, length, model, tokens, _cost(cost))] += 1
    return found


def _kafka(world: World) -> Counter[Row]:
    """Every record of the cells' conversation events."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({**world.kafka, "group.id": "oracle", "enable.auto.commit": False, "fetch.wait.max.ms": 50})
    found: Counter[Row] = Counter()
    try:
        topics = consumer.list_topics(timeout=20).topics
        for cell_id in world.cells:
            topic = names.topic(cell_id, "conversation.events")
            for number in topics[topic].partitions if topic in topics else ():
                found.update(_partition(consumer, TopicPartition(topic, number)))
    finally:
        consumer.close()
    return found


def _partition(consumer: Any, part: Any) -> Iterable[Row]:
    low, high = consumer.get_watermark_offsets(part, timeout=20)
    part.offset = low
    consumer.assign([part])
    while part.offset < high:
        record = consumer.poll(20)
        if record is None or record.error() is not None:
            raise RuntimeError(f"{part.topic} ends before {high}: {record.error() if record else 'no answer'}")
        part.offset = record.offset() + 1
        row = _event(record.value())
        if row is not None:
            yield row


def _event(value: bytes | None) -> Row | None:
    if value is None:
        return None
    try:
        envelope = Envelope.parse(value)
    except EventError:  # a dead letter: what it should have been is missed below
        return None
    payload = envelope.payload
    if not isinstance(payload, MessageSent):
        return None
    message = Message(
        envelope.tenant_id, str(payload.conversation_id), str(payload.message_id), envelope.user_id, payload.role,
        len(payload.content), payload.model, payload.tokens_used, _cost(payload.cost_usd),
    )  # fmt: skip
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (envelope.timestamp - epoch) // (datetime.resolution)
    return Row(str(envelope.event_id), microseconds // 1000, message)


def _row(values: list[Any]) -> Row:
    event, at, tenant, conversation, message, user, role, length, model, tokens, cost = values
    return Row(event, at, Message(tenant, conversation, message, user, role, length, model, tokens, _cost(cost)))


def _minute(values: list[Any]) -> tuple[Minute, Sums]:
    tenant, user, minute, messages, tokens, cost, users, assistants = values
    return Minute(tenant, user, minute), (messages, tokens, _cost(cost), users, assistants)


def _cost(value: Any) -> Decimal:
    return Decimal(value).quantize(Decimal("0.0001"))
