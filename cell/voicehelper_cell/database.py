"""Postgres for one service: every session belongs to one tenant, by role and by row-level security."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from voicehelper_core import names, placement_list, postgres
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable

_BUSY = (asyncpg.TooManyConnectionsError, asyncpg.InsufficientResourcesError)
_ACQUIRE_SECONDS = 10.0
_BEGIN_SECONDS = 8.0
_END_SECONDS = 2.0
LEAVES = "the tenant moves to another cell: send the request again in a moment"
NO_ROOM = "the database has no room left and stored nothing: try again when its disk has room"


class Pool:
    """Connections, in the order in which they were asked for.

    asyncpg's own queue wakes who waited longest, but a newcomer may take the connection first, and who was woken goes
    to the end: of 64 clients some waited ten times as long as others.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool, self._turns = pool, asyncio.Semaphore(pool.get_max_size())

    async def acquire(self) -> asyncpg.Connection:
        """Raises TimeoutError when none is free in time, and what connecting raises."""
        async with asyncio.timeout(_ACQUIRE_SECONDS):
            await self._turns.acquire()
            try:
                return await self._pool.acquire()
            except BaseException:
                self._turns.release()
                raise

    async def release(self, connection: asyncpg.Connection) -> None:
        """Give a connection back; one that was ended is replaced when it is needed."""
        try:
            await self._pool.release(connection, timeout=_END_SECONDS)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Close all connections when they were given back."""
        await self._pool.close()


async def connect(dsn: str, size: int) -> Pool:
    """A pool that opens connections only when they are needed."""
    return Pool(
        await asyncpg.create_pool(
            dsn, min_size=0, max_size=size, command_timeout=30, max_inactive_connection_lifetime=60, reset=_as_it_is
        )
    )


async def _as_it_is(_: asyncpg.Connection) -> None:
    """Nothing to reset: all that a session sets is local to its transaction, and asyncpg rolls back an open one.

    Its own reset is one more round trip for every session.
    """


class Database:
    """The schema of one service. There is no session without a ``TenantContext``."""

    def __init__(self, pool: Pool, cell_id: str, service: str) -> None:
        self._pool = pool
        self._cell_id = cell_id
        self._role, self._schema = names.service_role(cell_id, service), names.schema(cell_id, service)

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    @asynccontextmanager
    async def tenant(self, who: TenantContext, *, finishing: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """A transaction as the service's role that sees the rows of the context's tenant and no others.

        A tenant that moves to another cell can only be read here, but by what was ``finishing`` when that began.
        Raises Unavailable when Postgres is away, or for a write that comes too late. A connection that died while idle
        is replaced once.
        """
        try:
            connection = await self._begin(who, finishing=finishing)
        except postgres.NO_ROOM:
            raise Unavailable(NO_ROOM) from None
        except _BUSY as error:
            raise Unavailable(f"the database is busy: {error}") from None
        except postgres.LOST:
            raise Unavailable("the database does not answer: try again in a moment") from None
        try:
            try:
                yield connection
            except BaseException:
                await self._undo(connection)
                raise
            if await connection.execute("COMMIT") != "COMMIT":  # Postgres rolls back what failed, and says no more
                raise RuntimeError("the transaction had failed before its end")
        except asyncpg.ReadOnlySQLTransactionError:
            raise Unavailable(LEAVES) from None
        except postgres.NO_ROOM:
            raise Unavailable(NO_ROOM) from None
        except _BUSY as error:
            raise Unavailable(f"the database is busy: {error}") from None
        except postgres.LOST as error:
            if isinstance(error, ValueError):  # asyncpg's word for an argument that it cannot send
                raise
            raise Unavailable("the connection to the database was lost: try again in a moment") from None
        finally:
            await self._pool.release(connection)

    async def _undo(self, connection: asyncpg.Connection) -> None:
        """Roll back, soon: a server that hangs must not keep the caller, and a closed session is rolled back too."""
        try:
            async with asyncio.timeout(_END_SECONDS):
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
        except BaseException:
            connection.terminate()
            raise

    async def _begin(self, who: TenantContext, *, finishing: bool) -> asyncpg.Connection:
        """One round trip for all that a session needs; only checked ids are part of the text."""
        begin = (
            f"BEGIN; SET LOCAL ROLE {self._role}; SET LOCAL search_path = {self._schema};"
            f" SET LOCAL app.tenant_id = '{names.checked(who.tenant_id)}';"
            f" {placement_list.enter(self._cell_id, who.tenant_id, finishing=finishing)}"
        )
        for last in (False, True):
            connection = await self._pool.acquire()
            try:
                async with asyncio.timeout(_BEGIN_SECONDS):
                    await connection.execute(begin)
            except BaseException as error:
                connection.terminate()
                await self._pool.release(connection)
                if last or isinstance(error, TimeoutError) or not isinstance(error, postgres.LOST):
                    raise
                continue
            return connection
        raise AssertionError("unreachable")
