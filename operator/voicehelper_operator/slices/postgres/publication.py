"""The publication's list of tables: what change data capture may see of a cell."""

from __future__ import annotations

import asyncpg
from voicehelper_core import faults, names

TABLES: dict[str, tuple[str, ...]] = {
    "conversation": ("conversations", "messages", "outbox"),
    "knowledge": ("documents", "chunks", "outbox"),
}


async def lock(connection: asyncpg.Connection) -> None:
    """One change of the publication at a time; two at once fail in Postgres."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('voicehelper.publication'))")


async def _wanted(connection: asyncpg.Connection, cell_id: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Columns by schema and table, of the tables that migrations have made."""
    listed = [(names.schema(cell_id, service), table) for service, tables in TABLES.items() for table in tables]
    rows = await connection.fetch(
        "SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum) AS columns"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE n.nspname = ANY($1) AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1, 2",
        sorted({schema for schema, _ in listed}),
    )
    found = {(row["nspname"], row["relname"]): row["columns"] for row in rows}
    return {
        key: tuple(found[key]) if key[1] == "outbox" else tuple(c for c in found[key] if c not in names.CONTENT_COLUMNS)
        for key in listed
        if key in found
    }


async def _present(connection: asyncpg.Connection, name: str, cell_id: str) -> dict[tuple[str, str], tuple[str, ...]]:
    rows = await connection.fetch(
        "SELECT schemaname, tablename, attnames::text[] AS columns FROM pg_publication_tables"
        " WHERE pubname = $1 AND schemaname = ANY($2)",
        name,
        [names.schema(cell_id, service) for service in names.SERVICES],
    )
    return {(row["schemaname"], row["tablename"]): tuple(row["columns"]) for row in rows}


async def _differences(connection: asyncpg.Connection, name: str, cell_id: str) -> dict[tuple[str, str], bool]:
    """Tables whose entry is missing (False) or has other columns (True)."""
    wanted, present = await _wanted(connection, cell_id), await _present(connection, name, cell_id)
    return {key: key in present for key, columns in wanted.items() if set(present.get(key, ())) != set(columns)}


async def missing(connection: asyncpg.Connection, name: str, cell_id: str) -> list[str]:
    """Entries that are not as they should be."""
    return [f"publication of {schema}.{table}" for schema, table in await _differences(connection, name, cell_id)]


async def ensure(connection: asyncpg.Connection, name: str, cell_id: str) -> list[str]:
    """Put every table of the cell in with its columns; contents stay out, the outbox goes whole."""
    if not await _differences(connection, name, cell_id):
        return []
    await faults.point("operator.publication.before")
    made = []
    async with connection.transaction():
        await lock(connection)
        wanted = await _wanted(connection, cell_id)
        for (schema, table), stale in (await _differences(connection, name, cell_id)).items():
            if stale:
                await connection.execute(f"ALTER PUBLICATION {name} DROP TABLE {schema}.{table}")
            listed = ", ".join(f'"{column}"' for column in wanted[schema, table])
            columns = "" if table == "outbox" else f" ({listed})"
            await connection.execute(f"ALTER PUBLICATION {name} ADD TABLE {schema}.{table}{columns}")
            made.append(f"publication of {schema}.{table}")
    await faults.point("operator.publication.effect")
    return made
