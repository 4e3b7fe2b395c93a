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

from voicehelper_cell.conversation.models import Conversation, Event, Message

_CONVERSATION = "id, title, mode, created_at, updated_at"
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


async def take_turn(connection: asyncpg.Connection, who: TenantContext, conversation_id: uuid.UUID) -> int | None:
    """Two places in the order for a question and its answer; concurrent writers wait for each other here."""
    number: int | None = await connection.fetchval(
        "UPDATE conversations SET next_sequence = next_sequence + 2, updated_at = clock_timestamp()"
        " WHERE id = $1 AND user_id = $2 RETURNING next_sequence - 2",
        conversation_id,
        who.user_id,
    )
    return number


async def add_message(
    connection: asyncpg.Connection,
    who: TenantContext,
    conversation_id: uuid.UUID,
    identifier: uuid.UUID,
    *,
    sequence: int,
    role: str,
    content: str = "",
    worker: str = "",
) -> Message:
    """A user's message is complete; an assistant's is streaming."""
    row = await connection.fetchrow(
        "INSERT INTO messages (id, tenant_id, conversation_id, user_id, sequence, role, content, status, worker)"
        f" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING {_MESSAGE}",
        identifier,
        who.tenant_id,
        conversation_id,
        who.user_id,
        sequence,
        role,
        content,
        "streaming" if role == "assistant" else "completed",
        worker,
    )
    return _message(row)


async def complete(
    connection: asyncpg.Connection,
    identifier: uuid.UUID,
    *,
    content: str,
    citations: list[dict[str, Any]],
    model: str,
    tokens_used: int,
    cost_usd: Decimal,
) -> Message | None:
    """The whole answer; None when somebody ended the run before."""
    row = await connection.fetchrow(
        "UPDATE messages SET content = $2, citations = $3, model = $4, tokens_used = $5, cost_usd = $6,"
        " status = 'completed', completed_at = clock_timestamp() WHERE id = $1 AND status = 'streaming'"
        f" RETURNING {_MESSAGE}",
        identifier,
        content,
        json.dumps(citations),
        model,
        tokens_used,
        cost_usd,
    )
    return _message(row) if row else None


async def fail(connection: asyncpg.Connection, identifier: uuid.UUID, error: str) -> bool:
    """Mark a run as failed; False when it had ended before."""
    done = await connection.execute(
        "UPDATE messages SET status = 'failed', error = $2, completed_at = clock_timestamp()"
        " WHERE id = $1 AND status = 'streaming'",
        identifier,
        error,
    )
    return bool(done.endswith(" 1"))


async def reopen(connection: asyncpg.Connection, identifier: uuid.UUID, worker: str) -> tuple[Message, int] | None:
    """A failed answer streams again, without its events, and the id of the last of those; None if it had not failed."""
    row = await connection.fetchrow(
        "UPDATE messages SET status = 'streaming', error = '', worker = $2, completed_at = NULL"
        f" WHERE id = $1 AND status = 'failed' RETURNING {_MESSAGE}",
        identifier,
        worker,
    )
    if row is None:
        return None
    last = await last_event(connection, identifier)
    await connection.execute("DELETE FROM message_events WHERE message_id = $1", identifier)
    return _message(row), last


async def abandoned(connection: asyncpg.Connection, worker: str) -> list[uuid.UUID]:
    """Answers that a process which is gone was writing."""
    rows = await connection.fetch("SELECT id FROM messages WHERE status = 'streaming' AND worker <> $1", worker)
    return [row["id"] for row in rows]


async def add_events(
    connection: asyncpg.Connection, who: TenantContext, message_id: uuid.UUID, events: Sequence[Event]
) -> None:
    """Events that came together are one row, under the id of the last; writing them twice changes nothing."""
    body = json.dumps([{"id": event.id, "type": event.type, "body": event.body} for event in events])
    await connection.execute(
        "INSERT INTO message_events (tenant_id, message_id, id, type, events) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        who.tenant_id,
        message_id,
        events[-1].id,
        events[-1].type,
        body,
    )


async def lock_streaming(connection: asyncpg.Connection, identifier: uuid.UUID) -> bool:
    """Whether an answer still runs; nobody ends it before this transaction does."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM messages WHERE id = $1 AND status = 'streaming' FOR SHARE", identifier
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
