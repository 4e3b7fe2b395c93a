"""The slice: checks facts, makes those that do not hold, tries the cell's own login."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
from voicehelper_core import faults, names
from voicehelper_core.call_graph import SERVICES
from voicehelper_core.errors import Unavailable
from voicehelper_core.names import Account

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import MIGRATOR_PASSWORD, CellCredentials, Rotation
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.slices.postgres import logins, publication
from voicehelper_operator.slices.postgres import tenants as placed
from voicehelper_operator.slices.postgres.facts import MIGRATION_MINUTES, Fact, expire, facts, roles, schemas
from voicehelper_operator.slices.postgres.guards import guards
from voicehelper_operator.slices.postgres.stream import Stream

_MISSING = (asyncpg.UndefinedObjectError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError)


class PostgresSlice:
    """Schemas and roles of cells on one server."""

    store = "postgres"
    isolated = True

    def __init__(self, settings: OperatorSettings, credentials: CellCredentials) -> None:
        self._settings, self._credentials = settings, credentials
        self._pool: asyncpg.Pool | None = None
        self._stream = Stream(settings.replication_slot, settings.outbox_hours)

    @property
    def stream_trouble(self) -> tuple[str, str] | None:
        """Why change data capture does not follow the log now, as of the last look."""
        return self._stream.trouble

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

    async def _facts(self, cell: CellRef) -> list[Fact]:
        reader = self._settings.debezium_role
        accounts = await self._accounts(cell)
        made = facts(cell, accounts, database=self._settings.postgres_database, reader=reader)
        return [*made, *guards(cell.cell_id, reader)]

    async def _accounts(self, cell: CellRef) -> tuple[Account, ...]:
        return Rotation.of(await self._passwords(cell)).open

    async def observe(self, cell: CellRef) -> list[str]:
        missing = []
        wanted = await self._facts(cell)
        async with self._connection() as connection:
            for fact in wanted:
                if not await _holds(connection, fact):
                    missing.append(fact.what)
            missing += await publication.missing(connection, self._settings.publication, cell.cell_id)
        return missing

    async def ensure(self, cell: CellRef) -> list[str]:
        made, wanted = [], await self._facts(cell)
        async with self._connection() as connection:
            for fact in () if await _all_hold(connection, wanted) else wanted:
                if await _holds(connection, fact):
                    continue
                await faults.point("operator.postgres.before")
                async with connection.transaction():
                    for statement in fact.fix:
                        await connection.execute(await self._filled(connection, statement, fact, cell))
                await faults.point("operator.postgres.effect")
                made.append(fact.what)
            made += await publication.ensure(connection, self._settings.publication, cell.cell_id)
            await self._stream.look(connection)
            await self._stream.purge(connection, cell.cell_id)
        return made

    async def _filled(self, connection: asyncpg.Connection, statement: str, fact: Fact, cell: CellRef) -> str:
        if fact.password is None or "{password}" not in statement:
            return statement
        password = (await self._passwords(cell))[fact.password]
        quoted: str = await connection.fetchval("SELECT quote_literal($1::text)", password)
        return statement.replace("{password}", quoted)

    async def _passwords(self, cell: CellRef) -> dict[str, str]:
        return await self._credentials.of(cell.cell_id, SERVICES if cell.topology == "expanded" else ())

    async def verify(self, cell: CellRef) -> str | None:
        for login in logins.wanted(cell, await self._accounts(cell)):
            if problem := await self._try(cell, login):
                return problem
        return None

    async def _try(self, cell: CellRef, login: logins.Login) -> str | None:
        password = (await self._passwords(cell))[login.password]
        try:
            connection = await asyncpg.connect(
                host=self._settings.postgres_host,
                port=self._settings.postgres_port,
                database=self._settings.postgres_database,
                user=login.role,
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
        wanted = await self._facts(cell)
        async with self._connection() as connection:
            for fact in wanted:
                if fact.password:
                    statement = await self._filled(connection, fact.fix[-1], fact, cell)
                    await connection.execute(statement)

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        role = names.migrator_role(cell.cell_id)
        async with self._connection() as connection:
            if allowed:  # by the password of this migration, which is a new one
                password = (await self._passwords(cell))[MIGRATOR_PASSWORD]
                quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
                await connection.execute(f"ALTER ROLE {role} PASSWORD {quoted}")
            await connection.execute(expire(role, MIGRATION_MINUTES if allowed else None))

    async def archive(self, cell: CellRef) -> None:
        async with self._connection() as connection:
            closing = [login.role for login in logins.every(cell.cell_id)]
            for role in (*closing, names.migrator_role(cell.cell_id)):
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
            if not await self._stream.passed(connection, cell.cell_id):
                raise Unavailable("the cell's last events are still on their way to Kafka")

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        async with self._connection() as connection:
            return await placed.ensure(connection, cell.cell_id, tenant)

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        async with self._connection() as connection:
            return await placed.lacking(connection, cell.cell_id, tenants)

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        async with self._connection() as connection:
            await placed.remove(connection, cell.cell_id, tenant_id, data=data)


async def _all_hold(connection: asyncpg.Connection, wanted: list[Fact]) -> bool:
    """In one question, since nearly always nothing is missing; False also where one of them cannot be asked yet."""
    try:
        return bool(await connection.fetchval("SELECT " + " AND ".join(f"({fact.check})" for fact in wanted)))
    except _MISSING:
        return False


async def _holds(connection: asyncpg.Connection, fact: Fact) -> bool:
    try:
        return bool(await connection.fetchval(fact.check))
    except _MISSING:
        return False


async def _role(connection: asyncpg.Connection, role: str) -> bool:
    return bool(await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role))
