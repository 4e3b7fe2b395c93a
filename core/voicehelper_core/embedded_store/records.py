"""Events for people, and leases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from voicehelper_crds import Resource

from voicehelper_core.embedded_store.connection import session
from voicehelper_core.ports import Event

KEPT_EVENTS = 100
"""A resource's latest events that are kept."""
_MAX_MESSAGE = 4096


class PostgresEventRecorder:
    """``ports.EventRecorder`` in Postgres."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def record(self, resource: Resource, reason: str, message: str, *, warning: bool = False) -> None:
        key = (resource.kind_name, resource.metadata.name)
        async with session(self._pool) as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO resources.events (kind, name, type, reason, message) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (kind, name, type, reason, md5(message)) DO UPDATE"
                " SET count = events.count + 1, last_seen = clock_timestamp()",
                *key,
                "Warning" if warning else "Normal",
                reason,
                message.replace("\0", "").encode("utf-8", "replace").decode()[:_MAX_MESSAGE],
            )
            await connection.execute(
                "DELETE FROM resources.events WHERE kind = $1 AND name = $2 AND id IN (SELECT id FROM resources.events"
                " WHERE kind = $1 AND name = $2 ORDER BY last_seen DESC, id DESC OFFSET $3)",
                *key,
                KEPT_EVENTS,
            )

    async def events(self, kind: str, name: str) -> list[Event]:
        """Oldest first."""
        async with session(self._pool) as connection:
            found = await connection.fetch(
                "SELECT * FROM resources.events WHERE kind = $1 AND name = $2 ORDER BY last_seen, id", kind, name
            )
        return [
            Event(
                row["kind"],
                row["name"],
                row["type"],
                row["reason"],
                row["message"],
                row["count"],
                row["last_seen"].isoformat(),
            )
            for row in found
        ]


class PostgresLease:
    """``ports.Lease`` in Postgres; only the server's clock counts.

    When that clock is set back, the lease of a holder that died would last as much longer: one that ends later than
    twice the time that anybody asks for is taken over as well. A holder that lives renews it first, as a rule.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def acquire(self, name: str, holder: str, duration: timedelta) -> bool:
        async with session(self._pool) as connection:
            got = await connection.fetchval(
                "INSERT INTO resources.leases (name, holder, expires_at) VALUES ($1, $2, clock_timestamp() + $3)"
                " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at"
                " WHERE leases.holder = excluded.holder OR leases.expires_at <= clock_timestamp()"
                " OR leases.expires_at > clock_timestamp() + 2 * $3 RETURNING holder",
                name,
                holder,
                duration,
            )
        return got is not None

    async def release(self, name: str, holder: str) -> None:
        async with session(self._pool) as connection:
            await connection.execute("DELETE FROM resources.leases WHERE name = $1 AND holder = $2", name, holder)
