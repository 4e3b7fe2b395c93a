"""Records to rows. Pure and deterministic: a replayed range must give the same rows in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any
from uuid import UUID

from voicehelper_core.events import Envelope, EventError

EVENT_TYPE = "conversation.message.sent"
MIN_YEAR, MAX_YEAR = 2000, 2100  # DateTime of the minute view ends in 2106
MAX_COST_USD = 10**9


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record."""

    topic: str
    partition: int
    offset: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be read, and why; kept, so that nothing is lost in silence."""

    record: Record
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """The rows of a batch by event, in order, with the records that could not be read."""

    rows: Mapping[UUID, tuple[Any, ...]]
    dead: tuple[DeadLetter, ...]


def parse(records: Iterable[Record]) -> Parsed:
    """Rows of ``schema.clickhouse.COLUMNS`` for the messages among the records, the first delivery of each.

    The tenant comes from the envelope, the cell from the topic, which a trigger of the schema's owner chose.
    """
    rows: dict[UUID, tuple[Any, ...]] = {}
    dead: list[DeadLetter] = []
    for record in sorted(records, key=lambda item: (item.topic, item.partition, item.offset)):
        if record.value is None:
            dead.append(DeadLetter(record, "no value: an event is never a tombstone"))
            continue
        try:
            envelope = Envelope.parse(record.value)
            if envelope.event_type != EVENT_TYPE:
                continue
            rows.setdefault(envelope.event_id, _row(envelope))
        except (EventError, ValueError, ArithmeticError) as error:
            dead.append(DeadLetter(record, str(error)[:500]))
    return Parsed(rows, tuple(dead))


def _row(envelope: Envelope) -> tuple[Any, ...]:
    """The row of an event. Raises ValueError for what ClickHouse would refuse: one such row would stop the sink."""
    payload: Any = envelope.payload
    timestamp = envelope.timestamp.astimezone(UTC)
    if not MIN_YEAR <= timestamp.year <= MAX_YEAR:
        raise ValueError(f"timestamp: the year must be between {MIN_YEAR} and {MAX_YEAR}")
    cost = Decimal(payload.cost_usd).quantize(Decimal("0.0001"))
    if cost >= MAX_COST_USD:
        raise ValueError(f"payload.cost_usd: must be less than {MAX_COST_USD}")
    return (
        envelope.event_id,
        str(payload.conversation_id),
        str(payload.message_id),
        envelope.user_id,
        envelope.tenant_id,
        payload.role,
        len(payload.content),
        payload.model,
        payload.tokens_used,
        cost,
        timestamp,
    )
