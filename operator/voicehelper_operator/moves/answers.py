"""Answers that the old cell was writing at the switch: they come to their end there, and their rows come along."""

from __future__ import annotations

import asyncpg
from voicehelper_core import names
from voicehelper_core.placement_list import MOVED

from voicehelper_operator.archives.tables import LEASES
from voicehelper_operator.moves import rows
from voicehelper_operator.moves.ends import Ends
from voicehelper_operator.moves.rows import Pair

LEASE_SECONDS = 30
"""How long the new cell leaves them alone after the last look here; then it marks them as failed."""
_MESSAGES, _EVENTS = "messages", "message_events"
assert ("conversation", _MESSAGES) in LEASES


async def claim(connection: asyncpg.Connection, ends: Ends) -> None:
    """In the transaction of the last round: what is being written is the old cell's."""
    await connection.execute(
        f"UPDATE {names.schema(ends.target, 'conversation')}.{_MESSAGES} SET worker = $2,"
        " leased_until = now() + make_interval(secs => $3) WHERE tenant_id = $1 AND status = 'streaming'",
        ends.tenant_id,
        MOVED,
        LEASE_SECONDS,
    )


async def bring(connection: asyncpg.Connection, ends: Ends, all_pairs: list[Pair]) -> int:
    """Bring what they have got further, and those that have ended; how many have not."""
    messages, events = (_pair(all_pairs, name) for name in (_MESSAGES, _EVENTS))
    source, target = messages.names()
    async with connection.transaction():
        await rows.begin(connection)
        streaming = await connection.fetch(
            f"SELECT id FROM {target} WHERE tenant_id = $1 AND status = 'streaming' AND worker = $2 FOR UPDATE",
            ends.tenant_id,
            MOVED,
        )
        identifiers = [row["id"] for row in streaming]
        if not identifiers:
            return 0
        # In this order: an answer that has ended has all its events.
        ended = [
            row["id"]
            for row in await connection.fetch(
                f"SELECT id FROM {source} WHERE tenant_id = $1 AND id = ANY($2) AND status <> 'streaming'",
                ends.tenant_id,
                identifiers,
            )
        ]
        await connection.execute(rows.missing(events, "s.message_id = ANY($2)"), ends.tenant_id, identifiers)
        await connection.execute(f"DELETE FROM {target} WHERE tenant_id = $1 AND id = ANY($2)", ends.tenant_id, ended)
        await connection.execute(rows.missing(messages, "s.id = ANY($2)"), ends.tenant_id, ended)
        await connection.execute(
            f"UPDATE {target} SET leased_until = now() + make_interval(secs => $3) WHERE tenant_id = $1"
            " AND id = ANY($2) AND status = 'streaming'",
            ends.tenant_id,
            identifiers,
            LEASE_SECONDS,
        )
    return len(identifiers) - len(ended)


def _pair(all_pairs: list[Pair], name: str) -> Pair:
    return next(pair for pair in all_pairs if pair.title == f"conversation.{name}")
