"""Lets nothing more be written for a tenant in a cell, and again."""

from __future__ import annotations

import asyncpg
from voicehelper_core import faults, names, placement_list
from voicehelper_core.errors import Unavailable

_WAIT = "1s"
"""For transactions of the tenant that have begun; others of it wait behind us meanwhile."""


async def close(connection: asyncpg.Connection, cell_id: str, tenant_id: str) -> None:
    """From now on the tenant is read-only there, but for answers that are being written.

    Raises Unavailable when a transaction of the tenant does not end soon: nothing has changed then.
    """
    await faults.point("operator.move.fence.before")
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
            key = placement_list.lock_key(cell_id, "$1::text")
            await connection.execute(f"SELECT pg_advisory_xact_lock({key})", tenant_id)
            await _mark(connection, cell_id, tenant_id, leaving=True)
    except asyncpg.LockNotAvailableError:
        raise Unavailable("a transaction of the tenant takes too long to wait for it now") from None
    await faults.point("operator.move.fence.effect")


async def open_again(connection: asyncpg.Connection, cell_id: str, tenant_id: str) -> None:
    """The tenant may write there."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{names.placement_schema(cell_id)}.tenants"):
        await _mark(connection, cell_id, tenant_id, leaving=False)


async def _mark(connection: asyncpg.Connection, cell_id: str, tenant_id: str, *, leaving: bool) -> None:
    table = f"{names.placement_schema(cell_id)}.tenants"
    await connection.execute(
        f"UPDATE {table} SET leaving = $2, updated_at = now() WHERE tenant_id = $1 AND leaving <> $2",
        tenant_id,
        leaving,
    )
