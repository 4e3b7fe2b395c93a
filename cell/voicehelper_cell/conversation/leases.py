"""SQL of the claims on answers: whose is an answer that streams, and is its process alive?"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import asyncpg
from voicehelper_core.placement_list import MOVED

from voicehelper_cell.conversation.models import LEASE_SECONDS


async def abandoned(connection: asyncpg.Connection, worker: str, *, alone: bool) -> list[uuid.UUID]:
    """Answers that a process which is gone was writing, locked: any other's where this one is alone."""
    rows = await connection.fetch(
        "SELECT id FROM messages WHERE status = 'streaming' AND worker <> $1"
        " AND (($2 AND worker <> $3) OR leased_until < now()) FOR UPDATE",
        worker,
        alone,
        MOVED,
    )
    return [row["id"] for row in rows]


async def renew(connection: asyncpg.Connection, identifiers: Sequence[uuid.UUID], worker: str) -> None:
    """The answers are still being written."""
    await connection.execute(
        "UPDATE messages SET leased_until = now() + make_interval(secs => $3)"
        " WHERE id = ANY($1) AND status = 'streaming' AND worker = $2",
        identifiers,
        worker,
        LEASE_SECONDS,
    )
