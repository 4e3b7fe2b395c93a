"""The list of tenants placed in a cell, and the removal of a tenant's rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

import asyncpg
from voicehelper_core import faults, names

from voicehelper_operator.slices.interface import TenantRef


async def ensure(connection: asyncpg.Connection, cell_id: str, tenant: TenantRef) -> list[str]:
    """The tenant's row; written only when it says something else."""
    table = f"{names.placement_schema(cell_id)}.tenants"
    limits = json.dumps(dict(tenant.limits), sort_keys=True)
    row = await connection.fetchrow(
        f"SELECT name, suspended, limits = $2::jsonb AS same FROM {table} WHERE tenant_id = $1",
        names.checked(tenant.tenant_id),
        limits,
    )
    if row is not None and row["same"] and (row["name"], row["suspended"]) == (tenant.name, tenant.suspended):
        return []
    await faults.point("operator.placement.before")
    await connection.execute(
        f"INSERT INTO {table} (tenant_id, name, suspended, limits) VALUES ($1, $2, $3, $4::jsonb)"
        " ON CONFLICT (tenant_id) DO UPDATE SET name = EXCLUDED.name, suspended = EXCLUDED.suspended,"
        " limits = EXCLUDED.limits, updated_at = now()",
        tenant.tenant_id,
        tenant.name,
        tenant.suspended,
        limits,
    )
    await faults.point("operator.placement.effect")
    return ["entry in the cell's list of tenants"] if row is None else []


async def lacking(connection: asyncpg.Connection, cell_id: str, tenants: Sequence[TenantRef]) -> set[str]:
    """Ids of those whose row is missing or says something else."""
    rows = await connection.fetch(
        f"SELECT tenant_id, name, suspended, limits FROM {names.placement_schema(cell_id)}.tenants"
    )
    there = {row["tenant_id"]: (row["name"], row["suspended"], json.loads(row["limits"])) for row in rows}
    return {
        tenant.tenant_id
        for tenant in tenants
        if there.get(tenant.tenant_id) != (tenant.name, tenant.suspended, json.loads(json.dumps(dict(tenant.limits))))
    }


async def remove(connection: asyncpg.Connection, cell_id: str, tenant_id: str, *, data: bool) -> None:
    """Take the tenant out of the list, and with ``data`` its rows out of every table of the cell."""
    table = f"{names.placement_schema(cell_id)}.tenants"
    if await connection.fetchval("SELECT to_regclass($1)", table):
        await connection.execute(f"DELETE FROM {table} WHERE tenant_id = $1", names.checked(tenant_id))
    if not data:
        return
    found = await connection.fetch(
        "SELECT c.table_schema, c.table_name FROM information_schema.columns c JOIN information_schema.tables t"
        " USING (table_schema, table_name) WHERE c.table_schema = ANY($1) AND c.column_name = 'tenant_id'"
        " AND t.table_type = 'BASE TABLE'",
        [names.schema(cell_id, service) for service in names.SERVICES],
    )
    async with connection.transaction():
        # All rows of the tenant go, so no reference can be left dangling; their order would only cost time.
        await connection.execute("SET LOCAL session_replication_role = replica")
        for row in found:
            await connection.execute(
                f"DELETE FROM {row['table_schema']}.{row['table_name']} WHERE tenant_id = $1",
                tenant_id,
            )
