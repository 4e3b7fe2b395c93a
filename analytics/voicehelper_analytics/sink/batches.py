"""Records to rows. Pure and deterministic: a replayed range must give the same rows in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from voicehelper_core.events import Envelope, EventError

EVENT_TYPE = "conversation.message.sent"


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
    times: Mapping[UUID, datetime]
    dead: tuple[DeadLetter, ...]


def parse(records: Iterable[Record]) -> Parsed:
    """Rows of ``schema.clickhouse.COLUMNS`` for the messages among the records, the first delivery of each.

    The tenant comes from the envelope, the cell from the topic, which a trigger of the schema's owner chose.
    """
    rows: dict[UUID, tuple[Any, ...]] = {}
    times: dict[UUID, datetime] = {}
    dead: list[DeadLetter] = []
    for record in sorted(records, key=lambda item: (item.topic, item.partition, item.offset)):
        if record.value is None:
            continue
        try:
            envelope = Envelope.parse(record.value)
            if envelope.event_type != EVENT_TYPE:
                continue
            rows.setdefault(envelope.event_id, _row(envelope))
            times.setdefault(envelope.event_id, envelope.timestamp)
        except (EventError, ValueError, ArithmeticError) as error:
            dead.append(DeadLetter(record, str(error)[:500]))
    return Parsed(rows, times, tuple(dead))


def _row(envelope: Envelope) -> tuple[Any, ...]:
    payload: Any = envelope.payload
    return (
        envelope.event_id,
        str(payload.conversation_id),
        str(payload.message_id),
        envelope.user_id,
        envelope.tenant_id,
        str(payload.role),
        len(payload.content),
        payload.model or "",
        payload.tokens_used,
        Decimal(str(payload.cost_usd)).quantize(Decimal("0.0001")),
        envelope.timestamp,
    )
