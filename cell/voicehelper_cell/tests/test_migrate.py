"""Migrations: twice, at once, killed in the middle, by the wrong role."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from voicehelper_cell.migrate import migrate, migrate_service
from voicehelper_cell.settings import MigrateSettings
from voicehelper_cell.tests.conftest import ACME, CELL, Slice, make_slice
from voicehelper_core import faults, names
from voicehelper_core.errors import Unprocessable

pytestmark = pytest.mark.integration
COLUMNS = (
    "select table_schema, table_name, column_name, data_type from information_schema.columns"
    " where table_schema = any($1) order by 1, 2, 3"
)


async def test_again_changes_nothing_and_says_where_it_is(cell: Slice, capsys: pytest.CaptureFixture[str]) -> None:
    schemas = [names.schema(CELL, service) for service in names.SERVICES]
    before = await cell.admin(COLUMNS, schemas)
    await cell.admin(
        f"insert into {CELL}_conversation.conversations (tenant_id, user_id, mode) values ($1, 'u', 'chat')",
        ACME.tenant_id,
    )
    first = await migrate(cell.settings())
    second = await migrate(cell.settings())
    assert first == second
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [{"schema_revision": first, "ahead": []}] * 2
    assert [part.partition("=")[0] for part in first.split(",")] == list(names.SERVICES)
    assert await cell.admin(COLUMNS, schemas) == before
    assert len(await cell.admin(f"select 1 from {CELL}_conversation.conversations")) == 1


async def test_at_once_on_an_empty_cell(postgres_dsn: str) -> None:
    made = await make_slice(postgres_dsn, "ctest0000003")
    environment = {
        **os.environ,
        "VOICEHELPER_CELL_ID": made.cell_id,
        "VOICEHELPER_POSTGRES_DSN": made.migrator_dsn,
    }

    async def process() -> Any:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voicehelper_cell", "migrate", env=environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await started.communicate()
        assert started.returncode == 0
        return json.loads(output)

    first, second, third = await asyncio.gather(*(process() for _ in range(3)))
    assert first == second == third
    assert set(first) == {"schema_revision", "ahead"}


async def test_killed_in_the_middle_it_is_run_again(postgres_dsn: str) -> None:
    made = await make_slice(postgres_dsn, "ctest0000006")

    async def process(faults: str) -> int:
        environment = {
            **os.environ,
            "VOICEHELPER_CELL_ID": made.cell_id,
            "VOICEHELPER_POSTGRES_DSN": made.migrator_dsn,
            "VOICEHELPER_FAULT_POINTS": faults,
        }
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voicehelper_cell", "migrate", env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        return await started.wait()

    assert await process("cell.migrate.before") == -signal.SIGKILL  # all statements of the first service have run
    assert (
        await made.admin("select 1 from pg_tables where schemaname like 'ctest0000006%' and tablename <> 'tenants'")
        == []
    )
    assert await process("cell.migrate.recorded") == -signal.SIGKILL  # the first service is done, the second is not
    assert await process("") == 0
    assert await process("") == 0


async def set_revision(cell: Slice, service: str, revision: str) -> None:
    await cell.admin(f"update {names.schema(CELL, service)}.alembic_version set version_num = '{revision}'")


@pytest.fixture
async def moved(cell: Slice) -> AsyncIterator[Slice]:
    """A cell whose revisions a test may change."""
    versions = {
        service: (await cell.admin(f"select version_num from {names.schema(CELL, service)}.alembic_version"))[0][0]
        for service in names.SERVICES
    }
    yield cell
    for service, revision in versions.items():
        await set_revision(cell, service, revision)
        await cell.admin(f"comment on table {names.schema(CELL, service)}.alembic_version is null")


async def test_what_a_newer_release_has_expanded_is_left_as_it_is(
    moved: Slice, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the other schemas are migrated as ever."""
    await set_revision(moved, "conversation", "0999")
    before = await moved.admin(COLUMNS, [names.schema(CELL, service) for service in names.SERVICES])
    assert "conversation=0999" in await migrate(moved.settings())
    assert json.loads(capsys.readouterr().out)["ahead"] == ["conversation=0999"]
    assert await moved.admin(COLUMNS, [names.schema(CELL, service) for service in names.SERVICES]) == before


@pytest.mark.parametrize("revision", ["0000", "ae1027a6acf"])
async def test_what_is_not_newer_and_not_known_is_refused(moved: Slice, revision: str) -> None:
    await set_revision(moved, "conversation", revision)
    with pytest.raises(Unprocessable, match=f"'{revision}'.*go to the release that made it"):
        await migrate(moved.settings())
    found = await moved.admin(f"select version_num from {CELL}_conversation.alembic_version")
    assert [row[0] for row in found] == [revision]


async def test_what_was_contracted_since_is_refused(moved: Slice) -> None:
    await set_revision(moved, "conversation", "0999")
    await moved.admin(f"comment on table {CELL}_conversation.alembic_version is '0998'")
    with pytest.raises(Unprocessable, match="a release at revision 0998 or later"):
        await migrate(moved.settings())


async def test_what_failed_in_the_middle_leaves_nothing_and_can_be_run_again(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make_slice(postgres_dsn, "ctest0000004")
    monkeypatch.setenv("VOICEHELPER_FAULT_POINTS", "cell.migrate.before=raise")
    faults.load()
    with pytest.raises(Exception, match=r"cell\.migrate\.before"):
        await migrate(made.settings())
    assert await made.admin("select 1 from pg_tables where schemaname = 'ctest0000004_conversation'") == []
    monkeypatch.delenv("VOICEHELPER_FAULT_POINTS")
    faults.load()
    assert await migrate(made.settings()) == await migrate(made.settings())


async def test_the_workloads_login_cannot_migrate(cell: Slice) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        await migrate(MigrateSettings(cell_id=CELL, postgres_dsn=cell.dsn))


async def test_the_migrator_has_no_way_into_another_cell(cell: Slice) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        await migrate_service(cell.migrator_dsn, "ctest0000002", "conversation")


async def test_the_owner_of_a_schema_is_bound_to_tenants_too(cell: Slice) -> None:
    """Migrations do not read tenants' rows by accident."""
    insert: Any = f"insert into {CELL}_conversation.conversations (tenant_id, user_id, mode) values ($1, 'u', 'chat')"
    await cell.admin(insert, ACME.tenant_id)
    connection = await asyncpg.connect(cell.migrator_dsn)
    try:
        await connection.execute(f"set role {names.owner_role(CELL, 'conversation')}")
        assert await connection.fetchval(f"select count(*) from {CELL}_conversation.conversations") == 0
    finally:
        await connection.close()
