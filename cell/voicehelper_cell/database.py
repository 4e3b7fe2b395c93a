"""Postgres for one service: every session belongs to one tenant, by role and by row-level security."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable

_LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.exceptions.OperatorInterventionError,  # shut down, crashed, starting, cancelled
)
_FULL = (asyncpg.TooManyConnectionsError, asyncpg.InsufficientResourcesError)


async def connect(dsn: str, size: int) -> asyncpg.Pool:
    """A pool that opens connections only when they are needed."""
    return await asyncpg.create_pool(
        dsn, min_size=0, max_size=size, command_timeout=30, max_inactive_connection_lifetime=60
    )


class Database:
    """The schema of one service. There is no session without a ``TenantContext``."""

    def __init__(self, pool: asyncpg.Pool, cell_id: str, service: str) -> None:
        self._pool = pool
        self._role, self._schema = names.service_role(cell_id, service), names.schema(cell_id, service)

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    @asynccontextmanager
    async def tenant(self, who: TenantContext) -> AsyncIterator[asyncpg.Connection]:
        """A transaction as the service's role that sees the rows of the context's tenant and no others.

        Raises Unavailable when Postgres is away. A connection that died while idle is replaced once.
        """
        try:
            connection, transaction = await self._begin(who)
        except _FULL as error:
            raise Unavailable(f"the database is busy: {error}") from None
        except (*_LOST, TimeoutError):
            raise Unavailable("the database does not answer: try again in a moment") from None
        try:
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await transaction.rollback()
                raise
            await transaction.commit()
        except _LOST as error:
            if isinstance(error, ValueError):  # asyncpg's word for an argument that it cannot send
                raise
            raise Unavailable("the connection to the database was lost: try again in a moment") from None
        finally:
            await self._pool.release(connection)

    async def _begin(self, who: TenantContext) -> tuple[asyncpg.Connection, asyncpg.transaction.Transaction]:
        for last in (False, True):
            connection = await self._pool.acquire(timeout=10)
            transaction = connection.transaction()
            try:
                await transaction.start()
                await connection.execute(f"SET LOCAL ROLE {self._role}; SET LOCAL search_path = {self._schema}")
                await connection.execute("SELECT set_config('app.tenant_id', $1, true)", names.checked(who.tenant_id))
            except BaseException as error:
                await self._pool.release(connection)
                if last or not isinstance(error, _LOST):
                    raise
                continue
            return connection, transaction
        raise AssertionError("unreachable")
