"""Sessions in Postgres with a cell's real login, and statements that leave nothing behind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from voicehelper_core import cell_bundle, names

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder
from voicehelper_cli.isolation.model import FOREIGN_CELL, Attacker, Outcome
from voicehelper_cli.isolation.party import Party

Answer: TypeAlias = list[Any] | asyncpg.PostgresError
DENIED = (asyncpg.InsufficientPrivilegeError,)
NO_LOGIN = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)


@asynccontextmanager
async def session(
    arena: Arena, party: Party, *, database: str = "", migrator: bool = False, **settings: str
) -> AsyncIterator[asyncpg.Connection]:
    """As the cell's workload (or its migrations) logs in; ``settings`` go into the start-up message."""
    host, port = arena.places.postgres.rsplit(":", 1)
    user, password = names.login_role(party.cell_id, party.account), party.store_password(cell_bundle.POSTGRES)
    if migrator:
        user, password = names.migrator_role(party.cell_id), party.store_credentials[cell_bundle.MIGRATOR]
    connection = await asyncpg.connect(
        host=host,
        port=int(port),
        user=user,
        password=password,
        database=database or arena.places.postgres_database,
        timeout=15,
        command_timeout=15,
        server_settings=settings or None,
    )
    try:
        yield connection
    finally:
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=5)


async def answer(connection: asyncpg.Connection, statement: str, *arguments: Any) -> Answer:
    """Rows or the error of a statement whose transaction is rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows
    except asyncpg.PostgresError as error:
        return error
    finally:
        await transaction.rollback()


async def alone(connection: asyncpg.Connection, statement: str) -> Answer:
    """For statements that refuse to run in a transaction."""
    try:
        await connection.execute(statement)
        return []
    except asyncpg.PostgresError as error:
        return error


def judge(
    tried: Recorder,
    statement: str,
    got: Answer,
    *,
    finding: str,
    by: Attacker = FOREIGN_CELL,
    also: tuple[type[asyncpg.PostgresError], ...] = (),
    reason: str = "the statement was allowed",
) -> Outcome:
    """Held where the right is lacking (or an error of ``also``); an error of another kind breaks the proof.

    A refusal by the table and not already by its schema is the last of two guards.
    """
    if not isinstance(got, asyncpg.PostgresError):
        return tried.leaked(statement, shown(got), by=by, finding=finding, reason=reason)
    if not isinstance(got, (*DENIED, *also)):
        raise AssertionError(f"{statement}: {type(got).__name__}: {got}")
    if isinstance(got, DENIED) and "permission denied for table" in str(got) and finding == "sql.schema":
        why = "only the right on the table is lacking: the schema may be used"
        return tried.weakened(statement, got, by=by, finding=finding, reason=why)
    return tried.judge(statement, got, by=by, finding=finding, sent=statement)


def shown(got: Answer) -> str:
    """Rows as one text, or the error."""
    if isinstance(got, asyncpg.PostgresError):
        return f"{type(got).__name__}: {got}"
    return f"{len(got)} rows {[tuple(row) for row in got[:5]]}"
