"""Who logs in to Postgres for a cell, by topology; drift, a switch there and back, and the end."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
from voicehelper_core import names
from voicehelper_core.call_graph import SERVICES
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.tests.conftest import Postgres, postgres

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials, service_password
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.postgres import PostgresSlice
from voicehelper_operator.slices.postgres.logins import LISTENERS, pool_size, share, wanted

__all__ = ["postgres"]
COMPACT = CellRef("clogins00001", 20)
EXPANDED = replace(COMPACT, topology="expanded")
CELL = COMPACT.cell_id
ENDED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)
"""What asyncpg says of a session that was ended, by the moment at which it learns of it."""
LOGINS = {service: names.service_login(CELL, service) for service in SERVICES}
ROLES = {about.schema: names.service_role(CELL, about.schema) for about in SERVICES.values() if about.schema}


@pytest.fixture
async def slice_(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresSlice]:
    database = f"logins_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute(f"CREATE DATABASE {database}")
    await admin.close()
    dsn = postgres.dsn.replace("/postgres?", f"/{database}?")
    folder = postgres.dsn.partition("host=")[2]
    settings = OperatorSettings(postgres_admin_dsn=dsn, postgres_database=database, postgres_host=folder)
    made = PostgresSlice(settings, CellCredentials(FileSecretStore(tmp_path_factory.mktemp("secrets"))))
    admin = await asyncpg.connect(dsn)
    await admin.execute("DROP ROLE IF EXISTS debezium; CREATE ROLE debezium; CREATE PUBLICATION voicehelper")
    await admin.close()
    yield made
    await made.remove(EXPANDED)
    await made.close()


async def who_may(slice_: PostgresSlice, query: str) -> set[str]:
    async with slice_._connection() as connection:
        rows = await connection.fetch(query, f"{CELL}%")
        return {row[0] for row in rows}


async def logging_in(slice_: PostgresSlice) -> set[str]:
    return await who_may(slice_, "SELECT rolname FROM pg_roles WHERE rolname LIKE $1 AND rolcanlogin")


async def session(slice_: PostgresSlice, role: str) -> asyncpg.Connection:
    settings = slice_._settings
    return await asyncpg.connect(host=settings.postgres_host, port=5432, database=settings.postgres_database, user=role)


async def test_an_expanded_cell_has_a_login_for_each_service_that_may_become_its_own_role(
    slice_: PostgresSlice,
) -> None:
    await slice_.ensure(EXPANDED)
    assert await slice_.observe(EXPANDED) == []
    assert await slice_.ensure(EXPANDED) == []
    assert await slice_.verify(EXPANDED) is None
    assert await logging_in(slice_) == {*LOGINS.values(), names.migrator_role(CELL)}
    bundle = await slice_._credentials.of(CELL)
    passwords = [bundle[service_password(service)] for service in SERVICES]
    assert len(set(passwords)) == len(SERVICES)
    for service, login in LOGINS.items():
        connection = await session(slice_, login)
        try:
            assert await connection.fetchval(f"SELECT count(*) FROM {names.placement_schema(CELL)}.tenants") == 0
            for schema, role in ROLES.items():
                if schema == SERVICES[service].schema:
                    await connection.execute(f"SET ROLE {role}; RESET ROLE")
                    continue
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"SET ROLE {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"INSERT INTO {names.placement_schema(CELL)}.tenants VALUES ('t', 't')")
        finally:
            await connection.close()


async def test_switching_there_and_back_leaves_one_way_in(slice_: PostgresSlice) -> None:
    compact, migrator = names.login_role(CELL), names.migrator_role(CELL)
    for _ in range(2):
        await slice_.ensure(COMPACT)
        assert await slice_.observe(COMPACT) == []
        assert await slice_.verify(COMPACT) is None
        assert await logging_in(slice_) == {compact, migrator}
        running = await session(slice_, compact)
        assert await slice_.observe(EXPANDED)
        await slice_.ensure(EXPANDED)
        assert await slice_.observe(EXPANDED) == []
        assert await slice_.verify(EXPANDED) is None
        assert await logging_in(slice_) == {*LOGINS.values(), migrator}
        await running.execute(f"SET ROLE {ROLES['conversation']}")  # what still runs is not torn down
        await running.close()
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await session(slice_, compact)


RAG, INDEXING = LOGINS["rag"], LOGINS["indexing"]
DRIFT = {
    "gone": f"DROP OWNED BY {RAG}; DROP ROLE {RAG}",
    "closed": f"ALTER ROLE {INDEXING} NOLOGIN",
    "powerful": f"ALTER ROLE {INDEXING} CREATEROLE",
    "inherits": f"ALTER ROLE {INDEXING} INHERIT",
    "no limit": f"ALTER ROLE {INDEXING} CONNECTION LIMIT -1",
    "its role lost": f"REVOKE {ROLES['knowledge']} FROM {INDEXING}",
    "another's role": f"GRANT {ROLES['conversation']} TO {INDEXING}",
    "a role where it has none": f"GRANT {ROLES['conversation']} TO {RAG}",
    "an owner's role": f"GRANT {names.owner_role(CELL, 'knowledge')} TO {INDEXING}",
    "no list": f"REVOKE SELECT ON {names.placement_schema(CELL)}.tenants FROM {RAG}",
    "the compact login opened": f"ALTER ROLE {CELL} LOGIN",
}


@pytest.mark.parametrize("drift", DRIFT.values(), ids=DRIFT.keys())
async def test_drift_is_seen_and_made_good(slice_: PostgresSlice, drift: str) -> None:
    await slice_.ensure(COMPACT)
    await slice_.ensure(EXPANDED)
    async with slice_._connection() as connection:
        await connection.execute(drift)
    assert await slice_.observe(EXPANDED)
    assert await slice_.ensure(EXPANDED)
    assert await slice_.observe(EXPANDED) == []
    assert await slice_.verify(EXPANDED) is None


@pytest.mark.parametrize("cell", [COMPACT, EXPANDED], ids=lambda cell: cell.topology)
async def test_the_end_takes_all_roles_with_it(slice_: PostgresSlice, cell: CellRef) -> None:
    await slice_.ensure(COMPACT)
    await slice_.ensure(EXPANDED)
    connection = await session(slice_, LOGINS["web"])
    await slice_.remove(cell)
    assert await who_may(slice_, "SELECT rolname FROM pg_roles WHERE rolname LIKE $1") == set()
    connection.terminate()
    await slice_.remove(cell)


async def rotate(slice_: PostgresSlice, cell: CellRef, *steps: str) -> None:
    credentials = slice_._credentials
    for step in steps:
        await (credentials.begin(CELL, "now") if step == "begin" else getattr(credentials, step)(CELL))
        assert await slice_.observe(cell) or step == "switch"
        await slice_.ensure(cell)
        assert await slice_.observe(cell) == []
        assert await slice_.verify(cell) is None


@pytest.mark.parametrize("cell", [COMPACT, EXPANDED], ids=lambda cell: cell.topology)
async def test_two_logins_while_passwords_are_rotated_and_one_after(slice_: PostgresSlice, cell: CellRef) -> None:
    await slice_.ensure(cell)
    first = {login.role: login for login in wanted(cell, ("a",))}
    second = {login.role: login for login in wanted(cell, ("b",))}
    migrator = names.migrator_role(CELL)
    assert await logging_in(slice_) == {*first, migrator}
    bundle = await slice_._credentials.of(CELL)
    sessions = [await session(slice_, role) for role in first]
    await rotate(slice_, cell, "begin")
    assert await logging_in(slice_) == {*first, *second, migrator}
    await rotate(slice_, cell, "switch")
    assert await logging_in(slice_) == {*first, *second, migrator}
    for old in sessions:  # what runs has room, and all that it had
        assert await old.fetchval(f"SELECT count(*) FROM {names.placement_schema(CELL)}.tenants") == 0
    others = [await session(slice_, role) for role in second]
    for connection, login in zip(others, second.values(), strict=True):
        for role in login.roles:
            await connection.execute(f"SET ROLE {role}; RESET ROLE")
    await slice_._credentials.close(CELL)
    assert await slice_.ensure(cell) == [
        *(f"that {role} cannot log in" for role in first),
        *(f"the end of the sessions of {role}" for role in first),
    ]
    assert await logging_in(slice_) == {*second, migrator}
    for old in sessions:
        with pytest.raises(ENDED):
            await old.execute("SELECT 1")
    for role in first:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await session(slice_, role)
    await slice_._credentials.finish(CELL)
    assert await slice_.ensure(cell) == []
    assert await slice_.verify(cell) is None
    for other in others:
        await other.execute("SELECT 1")
        await other.close()
    now = await slice_._credentials.of(CELL)
    assert not {login.password for login in first.values()} & set(now)
    assert not {bundle[login.password] for login in first.values()} & set(now.values())
    await rotate(slice_, cell, "begin", "switch", "close")
    assert await logging_in(slice_) == {*first, migrator}


async def test_a_switch_of_the_topology_in_the_middle_of_a_rotation(slice_: PostgresSlice) -> None:
    await slice_.ensure(COMPACT)
    await rotate(slice_, COMPACT, "begin", "switch")
    await slice_.ensure(EXPANDED)
    assert await slice_.verify(EXPANDED) is None
    both = {login.role for login in wanted(EXPANDED, ("a", "b"))}
    assert await logging_in(slice_) == {*both, names.migrator_role(CELL)}
    await rotate(slice_, EXPANDED, "close")
    assert await logging_in(slice_) == {*(login.role for login in wanted(EXPANDED, ("b",))), names.migrator_role(CELL)}
    await slice_.remove(EXPANDED)
    assert await who_may(slice_, "SELECT rolname FROM pg_roles WHERE rolname LIKE $1") == set()


@pytest.mark.parametrize("drift", ["LOGIN", "LOGIN PASSWORD 'old'"])
async def test_a_closed_account_that_is_opened_by_hand_is_closed_again(slice_: PostgresSlice, drift: str) -> None:
    await slice_.ensure(COMPACT)
    await rotate(slice_, COMPACT, "begin", "switch", "close")
    await slice_._credentials.finish(CELL)
    async with slice_._connection() as connection:
        await connection.execute(f"ALTER ROLE {CELL} {drift}")
    assert await slice_.ensure(COMPACT) == [f"that {CELL} cannot log in"]


async def test_each_migration_has_a_password_of_its_own(slice_: PostgresSlice) -> None:
    await slice_.ensure(COMPACT)

    async def stored() -> str:
        async with slice_._connection() as connection:
            query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1"
            found: str = await connection.fetchval(query, names.migrator_role(CELL))
            return found

    seen = {await stored()}
    for _ in range(2):
        password = await slice_._credentials.renew_migrator(CELL)
        assert (await slice_._credentials.of(CELL))["migrator_password"] == password
        await slice_.let_migrate(COMPACT, allowed=True)
        seen.add(await stored())
        await slice_.let_migrate(COMPACT, allowed=False)
    assert len(seen) == 3
    assert await slice_.observe(COMPACT) == []


async def test_an_archived_cell_lets_nobody_in(slice_: PostgresSlice) -> None:
    await slice_.ensure(EXPANDED)
    await slice_.archive(EXPANDED)
    assert await logging_in(slice_) == set()


def test_the_connections_of_a_class_are_shared() -> None:
    for connections in (4, 10, 20, 37, 500):
        shares = {service: share(connections, service) for service in SERVICES}
        assert sum(shares.values()) <= max(connections, 4)
        assert {service for service, number in shares.items() if number} == {
            service for service, about in SERVICES.items() if about.schema
        }
        for replicas in (1, 3, 20):
            assert all(pool_size(connections, service, replicas) >= 1 for service in SERVICES)
        limits = {
            login.role: login.connections for login in wanted(replace(EXPANDED, postgres_connections=connections))
        }
        assert limits == {LOGINS[service]: shares[service] + LISTENERS for service in SERVICES}
    assert pool_size(30, "conversation", 3) == 4
