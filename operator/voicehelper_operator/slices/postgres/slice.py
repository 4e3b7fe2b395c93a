"""The slice: checks facts, makes those that do not hold, tries the cell's own login."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from voicehelper_core import faults, names

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.slices.postgres import publication, tenants
from voicehelper_operator.slices.postgres.facts import Fact, facts, roles, schemas

_MISSING = (asyncpg.UndefinedObjectError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError)


class PostgresSlice:
    """Schemas and roles of cells on one server."""

    store = "postgres"
    isolated = True

    def __init__(self, settings: OperatorSettings, credentials: CellCredentials) -> None:
        self._settings, self._credentials = settings, credentials
        self._pool: asyncpg.Pool | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._pool:
            await self._pool.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._settings.postgres_admin_dsn, min_size=0, max_size=8, command_timeout=60
            )
        async with self._pool.acquire() as connection:
            yield connection

    def _facts(self, cell: CellRef) -> list[Fact]:
        return list(
            facts(
                cell.cell_id,
                connections=cell.postgres_connections,
                database=self._settings.postgres_database,
                reader=self._settings.debezium_role,
            )
        )

    async def observe(self, cell: CellRef) -> list[str]:
        missing = []
        async with self._connection() as connection:
            for fact in self._facts(cell):
                if not await _holds(connection, fact):
                    missing.append(fact.what)
            missing += await publication.missing(connection, self._settings.publication, cell.cell_id)
        return missing

    async def ensure(self, cell: CellRef) -> list[str]:
        made = []
        async with self._connection() as connection:
            for fact in self._facts(cell):
                if await _holds(connection, fact):
                    continue
                await faults.point("operator.postgres.before")
                async with connection.transaction():
                    for statement in fact.fix:
                        await connection.execute(await self._filled(connection, statement, fact, cell))
                await faults.point("operator.postgres.after")
                made.append(fact.what)
            made += await publication.ensure(connection, self._settings.publication, cell.cell_id)
            await self._purge(connection, cell.cell_id)
        return made

    async def _filled(self, connection: asyncpg.Connection, statement: str, fact: Fact, cell: CellRef) -> str:
        if fact.password is None or "{password}" not in statement:
            return statement
        password = (await self._credentials.of(cell.cell_id))[fact.password]
        quoted: str = await connection.fetchval("SELECT quote_literal($1::text)", password)
        return statement.replace("{password}", quoted)

    async def _purge(self, connection: asyncpg.Connection, cell_id: str) -> None:
        """Old outbox rows; Debezium has read them from the log long ago, or reads them there still."""
        for service in names.SERVICES:
            table = f"{names.schema(cell_id, service)}.outbox"
            if await connection.fetchval("SELECT to_regclass($1)", table):
                await connection.execute(
                    f"DELETE FROM {table} WHERE created_at < now() - $1 * interval '1 hour'",
                    self._settings.outbox_hours,
                )

    async def verify(self, cell: CellRef) -> str | None:
        password = (await self._credentials.of(cell.cell_id))["postgres_password"]
        try:
            connection = await asyncpg.connect(
                host=self._settings.postgres_host,
                port=self._settings.postgres_port,
                database=self._settings.postgres_database,
                user=names.login_role(cell.cell_id),
                password=password,
                timeout=10,
            )
        except asyncpg.InvalidPasswordError:
            await self._reset(cell)
            return "the login was refused: its password has been set again"
        except asyncpg.PostgresError as error:
            return str(error)
        try:
            await connection.fetchval(f"SELECT count(*) FROM {names.placement_schema(cell.cell_id)}.tenants")
        except asyncpg.PostgresError as error:
            return str(error)
        finally:
            await connection.close()
        return None

    async def _reset(self, cell: CellRef) -> None:
        """Passwords in Postgres became others than the kept ones (the secret was lost, or somebody changed one)."""
        async with self._connection() as connection:
            for fact in self._facts(cell):
                if fact.password:
                    statement = await self._filled(connection, fact.fix[-1], fact, cell)
                    await connection.execute(statement)

    async def archive(self, cell: CellRef) -> None:
        async with self._connection() as connection:
            for role in (names.login_role(cell.cell_id), names.migrator_role(cell.cell_id)):
                if await _role(connection, role):
                    await connection.execute(f"ALTER ROLE {role} NOLOGIN")
            for schema in schemas(cell.cell_id):
                if await connection.fetchval("SELECT to_regnamespace($1)", schema):
                    await connection.execute(f"COMMENT ON SCHEMA {schema} IS 'archived'")

    async def remove(self, cell: CellRef) -> None:
        async with self._connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY($1::text[])",
                roles(cell.cell_id),
            )
            async with connection.transaction():
                await publication.lock(connection)
                for schema in schemas(cell.cell_id):
                    await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                for role in roles(cell.cell_id):
                    if await _role(connection, role):
                        await connection.execute(f"DROP OWNED BY {role}")
                        await connection.execute(f"DROP ROLE {role}")

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        async with self._connection() as connection:
            return await tenants.ensure(connection, cell.cell_id, tenant)

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        async with self._connection() as connection:
            await tenants.remove(connection, cell.cell_id, tenant_id, data=data)


async def _holds(connection: asyncpg.Connection, fact: Fact) -> bool:
    try:
        return bool(await connection.fetchval(fact.check))
    except _MISSING:
        return False


async def _role(connection: asyncpg.Connection, role: str) -> bool:
    return bool(await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role))
