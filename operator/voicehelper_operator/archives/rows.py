"""Rows out of Postgres and into it, as COPY's text format: a line a row, whatever the values hold."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
from voicehelper_core import names
from voicehelper_core.archive.manifest import PART_BYTES, Table
from voicehelper_core.errors import Conflict, Unprocessable

from voicehelper_operator.archives.tables import USERS, TenantTable, quoted

_SETTINGS = (
    "SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC';"
    " SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8';"
    " SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
"""The same value is the same text on every server."""
_SILENT_SECONDS = 300.0
"""Postgres sorts a table before its first row comes."""
Users = Mapping[bytes, bytes]
"""Ids of users that have others here."""


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own: an export would hold one of the reconcilers' for long."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        yield connection
    finally:
        if connection.is_closed():
            pass
        else:
            with suppress(Exception):
                await connection.close(timeout=5)


@asynccontextmanager
async def snapshot(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """All that is read within is of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_SETTINGS)
        yield


async def read(
    connection: asyncpg.Connection, table: TenantTable, *, cell_id: str, tenant_id: str, columns: Sequence[str] = ()
) -> AsyncIterator[bytes]:
    """Whole lines, ``PART_BYTES`` at once. As the service's own role: row-level security holds here as well."""
    role, tenant = names.service_role(cell_id, table.service), names.checked(tenant_id)
    await connection.execute(f"SET LOCAL ROLE {role}; SET LOCAL app.tenant_id = '{tenant}'")
    listed = ", ".join(map(quoted, columns or table.columns))
    query = f"SELECT {listed} FROM {table.schema}.{table.name} WHERE tenant_id = '{tenant}'"
    query += f" ORDER BY {', '.join(table.order)}" if table.order else ""
    kept = bytearray()
    async for chunk in _copied(connection, query):
        kept += chunk
        if len(kept) >= PART_BYTES:
            end = kept.rfind(b"\n") + 1
            if end:
                yield bytes(kept[:end])
                del kept[:end]
    if kept:
        yield bytes(kept)
    await connection.execute("RESET ROLE")


async def _copied(connection: asyncpg.Connection, query: str) -> AsyncIterator[bytes]:
    """What COPY gives, as it comes; Postgres waits while nobody takes it."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(4)

    async def copy() -> None:
        try:
            await connection.copy_from_query(query, output=queue.put, format="text")
        finally:
            await queue.put(None)

    task = asyncio.create_task(copy())
    try:
        while True:
            async with asyncio.timeout(_SILENT_SECONDS):
                chunk = await queue.get()
            if chunk is None:
                break
            yield chunk
        await task
    finally:
        if not task.done():
            task.cancel()
            connection.terminate()  # in the middle of a COPY it is good for nothing else
        with suppress(asyncio.CancelledError, Exception):
            await task


async def write(
    connection: asyncpg.Connection, table: TenantTable, columns: Sequence[str], content: bytes, *, tenant_id: str
) -> None:
    """The rows of one part, which become this tenant's. Raises Conflict where the cell has them, Unprocessable."""

    async def source() -> AsyncIterator[bytes]:
        yield owned(content, tenant_id)

    try:
        await connection.copy_to_table(
            table.name, schema_name=table.schema, columns=["tenant_id", *columns], source=source(), format="text"
        )
    except asyncpg.UniqueViolationError:
        raise Conflict(
            f"{table.service}.{table.name}: the cell holds rows with these ids already, of the tenant that the archive"
            " was made of: import it into another cell (--cell)"
        ) from None
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise Unprocessable(f"{table.service}.{table.name} does not take the archive's rows: {error}") from None


def owned(content: bytes, tenant_id: str) -> bytes:
    """Lines with the tenant's id before each."""
    first = f"{names.checked(tenant_id)}\t".encode()
    return first + content[:-1].replace(b"\n", b"\n" + first) + content[-1:] if content else b""


def renamed(content: bytes, columns: Sequence[str], users: Users) -> bytes:
    """Lines with the ids of users replaced by those that they have here (or had there)."""
    places = [place for place, column in enumerate(columns) if column in USERS]
    if not users or not places:
        return content
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1]):
        fields = line.split(b"\t")
        for place in places:
            if place < len(fields):
                fields[place] = users.get(fields[place], fields[place])
        lines[number] = b"\t".join(fields)
    return b"\n".join(lines)


async def summed(
    connection: asyncpg.Connection, table: TenantTable, columns: Sequence[str], *, cell_id: str, tenant_id: str,
    users: Users,
) -> Table:  # fmt: skip
    """What a manifest would say of the tenant's rows as they are here, under the users' ids of the archive."""
    digest, count = hashlib.sha256(), 0
    there = {here: there for there, here in users.items()}
    async for chunk in read(connection, table, cell_id=cell_id, tenant_id=tenant_id, columns=columns):
        digest.update(renamed(chunk, columns, there))
        count += chunk.count(b"\n")
    return Table(service=table.service, name=table.name, columns=list(columns), rows=count, sha256=digest.hexdigest())


async def settle(connection: asyncpg.Connection) -> None:
    """Before rows are written: values are read as they were written."""
    await connection.execute(_SETTINGS)
