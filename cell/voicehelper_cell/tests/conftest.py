"""A cell's Postgres slice as the operator makes it, migrated, on a throwaway server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from voicehelper_cell.database import Database, connect
from voicehelper_cell.indexing.tests.conftest import postgres_dsn  # noqa: F401 (the same server's fixture)
from voicehelper_cell.migrate import migrate
from voicehelper_cell.settings import MigrateSettings
from voicehelper_cell.tests.attacker import attacker  # noqa: F401
from voicehelper_core import names, placement_list
from voicehelper_core.context import TenantContext

CELL, NEIGHBOUR = "ctest0000001", "ctest0000002"
ACME = TenantContext("tacme0000001", "acme", "user-1", CELL)
GLOBEX = TenantContext("tglobex00001", "globex", "user-2", CELL)


@dataclass
class Slice:
    """One cell's part of the server."""

    cell_id: str
    admin_dsn: str
    dsn: str
    migrator_dsn: str

    def settings(self) -> MigrateSettings:
        """What ``migrate`` is given."""
        return MigrateSettings(cell_id=self.cell_id, postgres_dsn=self.migrator_dsn)

    async def admin(self, statement: str, *arguments: Any) -> list[Any]:
        """Rows as the superuser, who passes row-level security by."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            rows: list[Any] = await connection.fetch(statement, *arguments)
            return rows
        finally:
            await connection.close()

    async def place(self, who: TenantContext, *, suspended: bool = False, limits: str = "{}") -> None:
        """Put a tenant on the cell's list."""
        await self.admin(
            f"insert into {names.placement_schema(self.cell_id)}.tenants (tenant_id, name, suspended, limits)"
            " values ($1, $2, $3, $4) on conflict (tenant_id) do update"
            " set name = excluded.name, suspended = excluded.suspended, limits = excluded.limits",
            who.tenant_id,
            who.tenant,
            suspended,
            limits,
        )


async def make_slice(dsn: str, cell_id: str) -> Slice:
    """Schemas, roles and the list of tenants, without tables of the services."""
    login, migrator = names.login_role(cell_id), names.migrator_role(cell_id)
    connection = await asyncpg.connect(dsn)
    try:
        for service in names.SERVICES:
            schema = names.schema(cell_id, service)
            owner, role = names.owner_role(cell_id, service), names.service_role(cell_id, service)
            await connection.execute(f"create role {owner} nologin; create role {role} nologin")
            await connection.execute(
                f"create schema {schema} authorization {owner}; grant usage on schema {schema} to {role}"
            )
        owners = ", ".join(names.owner_role(cell_id, service) for service in names.SERVICES)
        services = ", ".join(names.service_role(cell_id, service) for service in names.SERVICES)
        await connection.execute(f"create role {login} login noinherit in role {services}")
        await connection.execute(f"create role {migrator} login noinherit in role {owners}")
        for statement in placement_list.statements(cell_id):
            await connection.execute(statement)
        for role in (login, *(names.service_role(cell_id, service) for service in names.SERVICES)):
            for statement in placement_list.granted(cell_id, role):
                await connection.execute(statement)
    finally:
        await connection.close()
    return Slice(cell_id, dsn, dsn.replace("postgres@", f"{login}@"), dsn.replace("postgres@", f"{migrator}@"))


@pytest.fixture(scope="session")
def slices(postgres_dsn: str) -> list[Slice]:  # noqa: F811
    """Two cells on one server, migrated."""
    import asyncio

    async def make() -> list[Slice]:
        made = [await make_slice(postgres_dsn, cell_id) for cell_id in (CELL, NEIGHBOUR)]
        for one in made:
            await migrate(one.settings())
        return made

    return asyncio.run(make())


@pytest.fixture
async def cell(slices: list[Slice]) -> Slice:
    """The first cell, empty."""
    tables = ", ".join(f"{names.schema(CELL, service)}.outbox" for service in names.SERVICES)
    await slices[0].admin(
        f"truncate {tables}, {CELL}_conversation.conversations, {CELL}_conversation.idempotency,"
        f" {names.placement_schema(CELL)}.tenants cascade"
    )
    return slices[0]


@pytest.fixture
async def conversations(cell: Slice) -> AsyncIterator[Database]:
    """The conversation service's database."""
    database = Database(await connect(cell.dsn, 4), CELL, "conversation")
    yield database
    await database.close()
