"""The replication slot behind the connector: whether it can still be followed, and what to do when it cannot.

A slot holds the log until it was read, up to ``max_slot_wal_keep_size``: then Postgres gives the slot up
(``wal_status = lost``) rather than fill its disk. Debezium waits for such a slot, for half an hour, and says that it
runs. Without the slot it notices at once that the log does not reach back to its last offset, makes a new slot and
reads the tables (``snapshot.mode=when_needed``): the outboxes give every event that was missed, and many that were not,
which consumers know by their ids.
"""

from __future__ import annotations

import asyncpg

from voicehelper_analytics.cdc.connector import SLOT

_STATE = "SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = $1"


async def drop_if_lost(connection: asyncpg.Connection, slot: str = SLOT) -> bool:
    """Remove the slot when Postgres has given it up; whether it did. The role needs REPLICATION."""
    state = await connection.fetchrow(_STATE, slot)
    if state is None or state["wal_status"] != "lost" or state["active"]:
        return False
    await connection.execute("SELECT pg_drop_replication_slot($1)", slot)
    return True


async def is_followed(connection: asyncpg.Connection, slot: str = SLOT) -> bool:
    """Whether somebody reads the log through the slot now."""
    state = await connection.fetchrow(_STATE, slot)
    return state is not None and state["active"]
