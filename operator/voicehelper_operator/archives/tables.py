"""Which tables and columns of a cell's services are a tenant's, from the catalogue: a new table is not forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

import asyncpg
from voicehelper_core import names, row_security

LEASES: Mapping[tuple[str, str], frozenset[str]] = {
    ("conversation", "messages"): frozenset({"worker", "leased_until"}),
}
"""Columns that say which process works on a row: they mean nothing elsewhere, their defaults do."""
DERIVED = frozenset({("knowledge", "totals")})
"""Tables that triggers keep from the rows of others: they come by themselves."""
USERS = frozenset({"user_id", "created_by"})
"""Columns that name a user of identity."""

_COLUMNS = """
    SELECT n.nspname AS schema, c.relname AS name, a.attname AS column, format_type(a.atttypid, NULL) AS type
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND c.relname <> $2
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY 1, 2, a.attnum"""
_KEYS = """
    SELECT n.nspname AS schema, c.relname AS name, a.attname AS column
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place) ON true
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
    WHERE n.nspname = ANY($1) AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY 1, 2, k.place"""
_REFERENCES = """
    SELECT n.nspname AS schema, c.relname AS name, f.relname AS target
    FROM pg_constraint r JOIN pg_class c ON c.oid = r.conrelid JOIN pg_class f ON f.oid = r.confrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1) AND r.contype = 'f' AND c <> f"""


@dataclass(frozen=True, slots=True)
class TenantTable:
    """A table whose rows belong to tenants. ``columns`` are those that an archive has."""

    service: str
    schema: str
    name: str
    columns: tuple[str, ...]
    order: tuple[str, ...]
    """Expressions by which rows are in the same order on every server and under every name of a user."""

    @property
    def key(self) -> tuple[str, str]:
        """Service and name."""
        return self.service, self.name

    @property
    def derived(self) -> bool:
        """Whether triggers make its rows."""
        return self.key in DERIVED


async def revisions(connection: asyncpg.Connection, cell_id: str) -> dict[str, str]:
    """Schema revision by service, of those that were migrated."""
    found = {}
    for service in names.SERVICES:
        table = f"{names.schema(cell_id, service)}.alembic_version"
        if await connection.fetchval("SELECT to_regclass($1)", table):
            found[service] = str(await connection.fetchval(f"SELECT version_num FROM {table}"))
    return found


async def primary_keys(connection: asyncpg.Connection, cell_id: str) -> dict[tuple[str, str], list[str]]:
    """Columns of the primary key by schema and table."""
    keys: dict[tuple[str, str], list[str]] = {}
    for row in await connection.fetch(_KEYS, [names.schema(cell_id, service) for service in names.SERVICES]):
        keys.setdefault((row["schema"], row["name"]), []).append(row["column"])
    return keys


async def tables(connection: asyncpg.Connection, cell_id: str) -> list[TenantTable]:
    """Those of all services, what is referred to before what refers to it."""
    services = {names.schema(cell_id, service): service for service in names.SERVICES}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for row in await connection.fetch(_COLUMNS, list(services), row_security.OUTBOX):
        columns.setdefault((row["schema"], row["name"]), {})[row["column"]] = row["type"]
    keys = await primary_keys(connection, cell_id)
    order: TopologicalSorter[tuple[str, str]] = TopologicalSorter()
    for key in sorted(columns):
        order.add(key)
    for row in await connection.fetch(_REFERENCES, list(services)):
        order.add((row["schema"], row["name"]), (row["schema"], row["target"]))
    return [
        _table(services[key[0]], key, columns[key], keys.get(key, []))
        for key in order.static_order()
        if "tenant_id" in columns.get(key, ())
    ]


def _table(service: str, key: tuple[str, str], columns: dict[str, str], primary: list[str]) -> TenantTable:
    schema, name = key
    left_out = LEASES.get((service, name), frozenset()) | {"tenant_id"}
    # A user may have another id after a restore: it comes last, behind what makes the place of a row sure already.
    ordered = [column for column in primary if column not in USERS | {"tenant_id"}]
    if any(column in USERS for column in primary):
        ordered = [*(["created_at"] if "created_at" in columns else []), *ordered]
        ordered += [column for column in primary if column in USERS]
    return TenantTable(
        service,
        schema,
        name,
        tuple(column for column in columns if column not in left_out),
        tuple(quoted(column) + (' COLLATE "C"' if columns[column] == "text" else "") for column in ordered),
    )


def quoted(name: str) -> str:
    """A column's name in a statement."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
