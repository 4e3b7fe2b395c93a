"""SQL of conversations. Every function runs in the tenant's transaction, under row-level security."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
from voicehelper_core.context import TenantContext

from voicehelper_cell.conversation.models import LEASE_SECONDS, Conversation, Event, Message

_CONVERSATION = "id, title, mode, created_at, updated_at"
_LEASE = f"interval '{LEASE_SECONDS} seconds'"
_MESSAGE = "id, conversation_id, sequence, role, content, citations, status, error, model, tokens_used, created_at"


def _message(row: asyncpg.Record) -> Message:
    return Message(**{**dict(row), "citations": json.loads(row["citations"])})


async def add_conversation(
    connection: asyncpg.Connection, who: TenantContext, identifier: uuid.UUID, title: str, mode: str
) -> Conversation:
    row = await connection.fetchrow(
        "INSERT INTO conversations (id, tenant_id, user_id, title, mode) VALUES ($1, $2, $3, $4, $5)"
        f" RETURNING {_CONVERSATION}",
        identifier,
        who.tenant_id,
        who.user_id,
        title,
        mode,
    )
    return Conversation(**dict(row))


async def conversation(
    connection: asyncpg.Connection, who: TenantContext, identifier: uuid.UUID
) -> Conversation | None:
    """A conversation of the user."""
    row = await connection.fetchrow(
        f"SELECT {_CONVERSATION} FROM conversations WHERE id = $1 AND user_id = $2", identifier, who.user_id
    )
    return Conversation(**dict(row)) if row else None


async def conversations(
    connection: asyncpg.Connection, who: TenantContext, limit: int, after: tuple[datetime, uuid.UUID] | None
) -> list[Conversation]:
    """Newest first."""
    moment, last = after or (None, None)
    rows = await connection.fetch(
        f"SELECT {_CONVERSATION} FROM conversations WHERE user_id = $1"
        " AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))"
        " ORDER BY created_at DESC, id DESC LIMIT $4",
        who.user_id,
        moment,
        last,
        limit,
    )
    return [Conversation(**dict(row)) for row in rows]


async def messages(
    connection: asyncpg.Connection, conversation_id: uuid.UUID, limit: int, after: int | None
) -> list[Message]:
    """In order of the conversation."""
    rows = await connection.fetch(
        f"SELECT {_MESSAGE} FROM messages WHERE conversation_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
        conversation_id,
        after or 0,
        limit,
    )
    return [_message(row) for row in rows]


async def latest(connection: asyncpg.Connection, conversation_id: uuid.UUID, before: int, limit: int) -> list[Message]:
    """The completed messages before a place, in order."""
    rows = await connection.fetch(
        f"SELECT {_MESSAGE} FROM messages WHERE conversation_id = $1 AND sequence < $2 AND status = 'completed'"
        " ORDER BY sequence DESC LIMIT $3",
        conversation_id,
        before,
        limit,
    )
    return [_message(row) for row in reversed(rows)]


async def message(connection: asyncpg.Connection, who: TenantContext, identifier: uuid.UUID) -> Message | None:
    """A message of a conversation of the user."""
    row = await connection.fetchrow(
        f"SELECT {', '.join('m.' + column for column in _MESSAGE.split(', '))} FROM messages m"
        " JOIN conversations c ON c.id = m.conversation_id WHERE m.id = $1 AND c.user_id = $2",
        identifier,
        who.user_id,
    )
    return _message(row) if row else None


_ASK = """
WITH turn AS (
    UPDATE conversations SET next_sequence = next_sequence + 2, updated_at = clock_timestamp()
    WHERE id = $1::uuid AND user_id = $2::text RETURNING next_sequence - 2 AS sequence
), two AS (
    INSERT INTO messages (id, tenant_id, conversation_id, user_id, sequence, role, content, status, worker)
    SELECT $4::uuid, $3::text, $1, $2, sequence, 'user', $5::text, 'completed', '' FROM turn
    UNION ALL SELECT $6::uuid, $3, $1, $2, sequence + 1, 'assistant', '', 'streaming', $7::text FROM turn
), first AS (
    INSERT INTO message_events (tenant_id, message_id, id, type, events) SELECT $3, $6, $8, $9, $10 FROM turn
)
SELECT sequence FROM turn"""


async def ask(
    connection: asyncpg.Connection,
    who: TenantContext,
    conversation_id: uuid.UUID,
    *,
    question: tuple[uuid.UUID, str],
    answer_id: uuid.UUID,
    worker: str,
    first: Event,
) -> int | None:
    """A question (id, content) and its answer that streams, with the answer's first event, in one statement.

    Returns the question's place in the order, the answer's is the next; concurrent writers wait for each other here.
    None, and nothing is written, where the user has no such conversation.
    """
    number: int | None = await connection.fetchval(
        _ASK, conversation_id, who.user_id, who.tenant_id, *question, answer_id, worker, first.id, first.type,
        _json([first]),
    )  # fmt: skip
    return number


async def complete(
    connection: asyncpg.Connection,
    identifier: uuid.UUID,
    *,
    content: str,
    citations: list[dict[str, Any]],
    model: str,
    tokens_used: int,
    cost_usd: Decimal,
    worker: str,
) -> Message | None:
    """The whole answer; None when somebody ended the run before, or has begun it anew."""
    row = await connection.fetchrow(
        "UPDATE messages SET content = $2, citations = $3, model = $4, tokens_used = $5, cost_usd = $6,"
        " status = 'completed', completed_at = clock_timestamp() WHERE id = $1 AND status = 'streaming' AND worker = $7"
        f" RETURNING {_MESSAGE}",
        identifier,
        content,
        json.dumps(citations),
        model,
        tokens_used,
        cost_usd,
        worker,
    )
    return _message(row) if row else None


async def fail(connection: asyncpg.Connection, identifier: uuid.UUID, error: str, worker: str | None = None) -> bool:
    """Mark a run (of ``worker`` only) as failed; False when it had ended before."""
    done = await connection.execute(
        "UPDATE messages SET status = 'failed', error = $2, completed_at = clock_timestamp()"
        " WHERE id = $1 AND status = 'streaming' AND worker = COALESCE($3, worker)",
        identifier,
        error,
        worker,
    )
    return bool(done.endswith(" 1"))


async def reopen(connection: asyncpg.Connection, identifier: uuid.UUID, worker: str) -> tuple[Message, int] | None:
    """A failed answer streams again, without its events, and the id of the last of those; None if it had not failed."""
    row = await connection.fetchrow(
        "UPDATE messages SET status = 'streaming', error = '', worker = $2, completed_at = NULL,"
        f" leased_until = now() + {_LEASE} WHERE id = $1 AND status = 'failed' RETURNING {_MESSAGE}",
        identifier,
        worker,
    )
    if row is None:
        return None
    last = await last_event(connection, identifier)
    await connection.execute("DELETE FROM message_events WHERE message_id = $1", identifier)
    return _message(row), last


def _json(events: Sequence[Event]) -> str:
    return json.dumps([{"id": event.id, "type": event.type, "body": event.body} for event in events])


def _row(who: TenantContext, message_id: uuid.UUID, events: Sequence[Event]) -> tuple[object, ...]:
    """Events that came together are one row, under the id of the last."""
    return (who.tenant_id, message_id, events[-1].id, events[-1].type, _json(events))


async def add_events(
    connection: asyncpg.Connection, who: TenantContext, message_id: uuid.UUID, events: Sequence[Event]
) -> None:
    """Writing them twice changes nothing."""
    await connection.execute(
        "INSERT INTO message_events (tenant_id, message_id, id, type, events) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        *_row(who, message_id, events),
    )


async def add_events_while_streaming(
    connection: asyncpg.Connection, who: TenantContext, message_id: uuid.UUID, events: Sequence[Event], *, worker: str
) -> bool:
    """The same for an answer that the worker still writes, which nobody ends before this transaction does."""
    return bool(
        await connection.fetchval(
            "WITH running AS ("
            "SELECT id FROM messages WHERE id = $2 AND status = 'streaming' AND worker = $6 FOR SHARE), added AS ("
            "INSERT INTO message_events (tenant_id, message_id, id, type, events)"
            " SELECT $1, $2, $3, $4, $5 FROM running ON CONFLICT DO NOTHING) SELECT true FROM running",
            *_row(who, message_id, events),
            worker,
        )
    )


async def events(connection: asyncpg.Connection, message_id: uuid.UUID, after: int) -> list[Event]:
    """Events after an id, in order."""
    rows = await connection.fetch(
        "SELECT events FROM message_events WHERE message_id = $1 AND id > $2 ORDER BY id", message_id, after
    )
    found = [Event(item["id"], item["type"], item["body"]) for row in rows for item in json.loads(row["events"])]
    return [event for event in found if event.id > after]


async def last_event(connection: asyncpg.Connection, message_id: uuid.UUID) -> int:
    """Id of the newest event; 0 where there is none."""
    number: int = await connection.fetchval(
        "SELECT COALESCE(max(id), 0) FROM message_events WHERE message_id = $1", message_id
    )
    return number


async def tokens_today(connection: asyncpg.Connection) -> int:
    """Model tokens of the tenant since midnight UTC."""
    number: int = await connection.fetchval(
        "SELECT COALESCE(sum(tokens_used), 0) FROM messages WHERE created_at >= date_trunc('day', now(), 'UTC')"
    )
    return number


async def claim_key(
    connection: asyncpg.Connection,
    who: TenantContext,
    *,
    route: str,
    key: str,
    fingerprint: bytes,
    result_id: uuid.UUID,
    hours: int,
) -> tuple[bytes, uuid.UUID] | None:
    """Take an idempotency key for ``result_id``; the fingerprint and result of whoever had it before, or None."""
    await connection.execute("DELETE FROM idempotency WHERE created_at < now() - $1 * interval '1 hour'", hours)
    taken = await connection.fetchval(
        "INSERT INTO idempotency (tenant_id, user_id, route, key, fingerprint, result_id)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING true",
        who.tenant_id,
        who.user_id,
        route,
        key,
        fingerprint,
        result_id,
    )
    if taken:
        return None
    row = await connection.fetchrow(
        "SELECT fingerprint, result_id FROM idempotency WHERE user_id = $1 AND route = $2 AND key = $3",
        who.user_id,
        route,
        key,
    )
    return row["fingerprint"], row["result_id"]
