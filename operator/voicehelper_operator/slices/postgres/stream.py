"""The way of the outboxes' rows out of Postgres: does change data capture follow the log, and which rows may go?

A row may go once Kafka has it for certain. A slot's ``catalog_xmin`` is older than everything that its reader has not
confirmed, so rows of older transactions were confirmed, but for one case: after a slot was lost, the reader makes a new
one, reads the tables and only then follows the log; until it has confirmed something *from the log* (in the same
session, which Postgres names by ``active_pid``), nobody knows whether Kafka has what was read from the tables.
"""

from __future__ import annotations

import asyncpg
from voicehelper_core import names

Trouble = tuple[str, str]
"""A reason and a message of a condition."""
_SLOT = """
    SELECT active_pid, wal_status, confirmed_flush_lsn - '0/0'::pg_lsn AS confirmed,
           pg_size_pretty(pg_current_wal_lsn() - confirmed_flush_lsn) AS behind,
           current_setting('max_slot_wal_keep_size') AS ceiling
    FROM pg_replication_slots WHERE slot_name = $1"""
_POSITION = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
_PURGE = """
    DELETE FROM {table} WHERE created_at < now() - $1 * interval '1 hour' AND age(xmin) > (
        SELECT age(catalog_xmin) FROM pg_replication_slots WHERE slot_name = $2 AND active_pid = $3)"""


class Stream:
    """What this operator knows of the replication slot of a server."""

    def __init__(self, slot: str, hours: int) -> None:
        self._slot, self._hours = slot, hours
        # The pid of the reader, and what it had confirmed when it was seen first; its pid once it has confirmed more.
        self._first: tuple[int, int] | None = None
        self._sure: int | None = None
        self.trouble: Trouble | None = None
        self._ends: dict[str, int] = {}

    async def look(self, connection: asyncpg.Connection) -> None:
        """Find out who reads the slot, and whether it has confirmed something since it was seen first."""
        slot = await connection.fetchrow(_SLOT, self._slot)
        self.trouble = _trouble(self._slot, slot)
        pid = slot["active_pid"] if slot else None
        if pid is None:
            self._first = self._sure = None
            return
        confirmed = int(slot["confirmed"] or 0)
        if self._first is None or self._first[0] != pid:
            self._first, self._sure = (pid, confirmed), None
        elif confirmed > self._first[1]:
            self._sure = pid

    async def passed(self, connection: asyncpg.Connection, cell_id: str) -> bool:
        """Whether the reader has confirmed all of the log up to where it ended when a cell was asked about first."""
        if cell_id not in self._ends:
            self._ends[cell_id] = int(await connection.fetchval(_POSITION))
        slot = await connection.fetchrow(_SLOT, self._slot)
        lost = slot is None or slot["wal_status"] == "lost"  # a new reader reads the tables, which are gone
        if not lost and int(slot["confirmed"] or 0) < self._ends[cell_id]:
            return False
        del self._ends[cell_id]
        return True

    async def purge(self, connection: asyncpg.Connection, cell_id: str) -> int:
        """Remove old rows that Kafka has; how many there were."""
        removed = 0
        for service in names.SERVICES:
            table = f"{names.schema(cell_id, service)}.outbox"
            if self._sure is not None and await connection.fetchval("SELECT to_regclass($1)", table):
                done = await connection.execute(_PURGE.format(table=table), self._hours, self._slot, self._sure)
                removed += int(done.split()[-1])
        return removed


def _trouble(name: str, slot: asyncpg.Record | None) -> Trouble | None:
    kept = "events are kept in the outboxes until they are read"
    if slot is None:
        return "SlotMissing", f"replication slot '{name}' does not exist: {kept}; see the state of Connect"
    if slot["wal_status"] == "lost":
        message = (
            f"more than {slot['ceiling']} of log came while nobody read it: {kept}, by a snapshot once Connect is back"
        )
        return "SlotLost", message
    if slot["active_pid"] is None:
        return "NotRead", f"nobody reads replication slot '{name}' ({slot['behind']} behind, at most {slot['ceiling']})"
    return None
