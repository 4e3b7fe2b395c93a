"""Rows leave Postgres and come back as they were, whatever they hold."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voicehelper_core import names, row_security
from voicehelper_core.errors import Conflict, Unprocessable
from voicehelper_core.tests.conftest import postgres  # noqa: F401  (a fixture)

from voicehelper_operator.archives import rows
from voicehelper_operator.archives.tables import TenantTable, tables

CELL, ONE, OTHER = "c00000000001", "t00000000001", "t00000000002"
SCHEMA, ROLE = names.schema(CELL, "knowledge"), names.service_role(CELL, "knowledge")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
VALUES = st.tuples(
    TEXT,
    st.none() | TEXT | st.sampled_from(["\\N", "\\.", "\t", "\n", "\r\n", "\\", "\\\\n", "", " "]),
    st.none() | st.binary(max_size=60),
    st.none() | st.decimals(-(10**6), 10**6, places=6),
    st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
    st.none() | st.floats(allow_nan=False),
)


@pytest.fixture
async def connection(postgres: Any) -> AsyncIterator[asyncpg.Connection]:  # noqa: F811
    made = await asyncpg.connect(postgres.dsn)
    await made.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
    if not await made.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
        await made.execute(f"CREATE ROLE {ROLE} NOLOGIN")
    await made.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {ROLE}")
    await made.execute(
        f"""
        CREATE TABLE {SCHEMA}.parts (
            id uuid NOT NULL, tenant_id text NOT NULL, whole_id uuid NOT NULL, user_id text NOT NULL,
            twice text GENERATED ALWAYS AS (user_id || user_id) STORED, PRIMARY KEY (tenant_id, id));
        CREATE TABLE {SCHEMA}.wholes (
            id uuid PRIMARY KEY, tenant_id text NOT NULL, name text NOT NULL, "odd ""name" text, bytes bytea,
            price numeric(18, 6), at timestamptz, ratio float8, body jsonb, UNIQUE (tenant_id, id));
        ALTER TABLE {SCHEMA}.parts ADD FOREIGN KEY (tenant_id, whole_id) REFERENCES {SCHEMA}.wholes (tenant_id, id);
        CREATE TABLE {SCHEMA}.outbox (id uuid PRIMARY KEY, tenant_id text NOT NULL);
        CREATE TABLE {SCHEMA}.alembic_version (version_num text PRIMARY KEY)"""
    )
    for table in ("parts", "wholes"):
        for statement in row_security.protect(SCHEMA, table, ROLE):
            await made.execute(statement)
    yield made
    await made.execute(f"DROP SCHEMA {SCHEMA} CASCADE; DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
    await made.close()


async def fill(connection: asyncpg.Connection, tenant_id: str, values: list[Any]) -> None:
    await connection.executemany(
        f'INSERT INTO {SCHEMA}.wholes (id, tenant_id, name, "odd ""name", bytes, price, at, ratio, body)'
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_jsonb($3::text))",
        [(uuid.uuid4(), tenant_id, *value) for value in values],
    )


async def read(connection: asyncpg.Connection, table: TenantTable, tenant_id: str) -> bytes:
    async with rows.snapshot(connection):
        found = [chunk async for chunk in rows.read(connection, table, cell_id=CELL, tenant_id=tenant_id)]
    return b"".join(found)


async def known(connection: asyncpg.Connection) -> dict[str, TenantTable]:
    return {table.name: table for table in await tables(connection, CELL)}


@pytest.mark.integration
async def test_tables_come_in_the_order_of_their_references(connection: asyncpg.Connection) -> None:
    found = await tables(connection, CELL)
    assert [table.name for table in found] == ["wholes", "parts"]  # no outbox, nothing without a tenant
    assert found[1].columns == ("id", "whole_id", "user_id")  # nothing that is generated


@pytest.mark.integration
@given(values=st.lists(VALUES, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_comes_back(connection: asyncpg.Connection, values: list[Any]) -> None:
    async def trip() -> None:
        await connection.execute(f"DELETE FROM {SCHEMA}.wholes")
        await fill(connection, ONE, values)
        query = f"SELECT * FROM {SCHEMA}.wholes WHERE tenant_id = $1 ORDER BY id"
        before = await connection.fetch(query, ONE)
        table = (await known(connection))["wholes"]
        content = await read(connection, table, ONE)
        assert content.count(b"\n") == len(values)
        await connection.execute(f"DELETE FROM {SCHEMA}.wholes")
        async with connection.transaction():
            await rows.settle(connection)
            await rows.write(connection, table, table.columns, content, tenant_id=OTHER)
            summed = await rows.summed(connection, table, table.columns, cell_id=CELL, tenant_id=OTHER, users={})
        assert (summed.rows, summed.sha256) == (len(values), hashlib.sha256(content).hexdigest())
        after = await connection.fetch(query, OTHER)
        assert [{**row, "tenant_id": ONE} for row in after] == [dict(row) for row in before]

    connection._loop.run_until_complete(trip())  # the loop of the session, whichever is current


@pytest.mark.integration
async def test_large_rows_come_in_parts_of_whole_lines(connection: asyncpg.Connection) -> None:
    await fill(connection, ONE, [("\n\t\\" * 400_000, None, bytes(10), Decimal("1.5"), None, None) for _ in range(12)])
    table = (await known(connection))["wholes"]
    async with rows.snapshot(connection):
        chunks = [chunk async for chunk in rows.read(connection, table, cell_id=CELL, tenant_id=ONE)]
    assert len(chunks) > 2
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert sum(chunk.count(b"\n") for chunk in chunks) == 12
    assert max(map(len, chunks)) < 2 * rows.PART_BYTES


@pytest.mark.integration
async def test_a_neighbours_rows_are_not_read_and_not_written(connection: asyncpg.Connection) -> None:
    await fill(connection, ONE, [("mine", None, None, None, None, None)])
    await fill(connection, OTHER, [("theirs", None, None, None, None, None)])
    table = (await known(connection))["wholes"]
    assert b"theirs" not in await read(connection, table, ONE)
    theirs = await read(connection, table, OTHER)
    with pytest.raises(Conflict, match="--cell"):
        async with connection.transaction():
            await rows.write(connection, table, table.columns, theirs, tenant_id=ONE)


@pytest.mark.integration
@pytest.mark.parametrize("content", [b"x\n", b"not-a-uuid\tn\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n", b"\xff\n", b"\\.\n"])
async def test_rows_that_do_not_fit_are_refused(connection: asyncpg.Connection, content: bytes) -> None:
    table = (await known(connection))["wholes"]
    with pytest.raises(Unprocessable, match=r"knowledge\.wholes"):
        async with connection.transaction():
            await rows.write(connection, table, table.columns, content, tenant_id=ONE)


@pytest.mark.integration
async def test_a_reference_that_dangles_is_refused(connection: asyncpg.Connection) -> None:
    table, content = (await known(connection))["parts"], f"{uuid.uuid4()}\t{uuid.uuid4()}\tu\n".encode()
    with pytest.raises(Unprocessable, match=r"knowledge\.parts"):
        async with connection.transaction():
            await rows.write(connection, table, table.columns, content, tenant_id=ONE)


def test_users_get_their_new_ids_and_their_old_ones_back() -> None:
    columns, users = ("id", "user_id", "title", "created_by"), {b"u1": b"n1", b"u2": b"n2"}
    content = b"1\tu1\tu1\tu2\n2\tu3\t\\N\tu1\n"
    there = rows.renamed(content, columns, users)
    assert there == b"1\tn1\tu1\tn2\n2\tu3\t\\N\tn1\n"
    assert rows.renamed(there, columns, {new: old for old, new in users.items()}) == content
    assert rows.renamed(content, columns, {}) is content


def test_each_line_gets_the_tenant() -> None:
    assert rows.owned(b"a\tb\nc\n", ONE) == b"t00000000001\ta\tb\nt00000000001\tc\n"
    assert rows.owned(b"", ONE) == b""
