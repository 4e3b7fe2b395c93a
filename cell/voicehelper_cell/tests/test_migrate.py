"""Migrations: twice, at once, killed in the middle, by the wrong role."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from voicehelper_cell.migrate import migrate, migrate_service
from voicehelper_cell.settings import MigrateSettings
from voicehelper_cell.tests.conftest import ACME, CELL, Slice, make_slice
from voicehelper_core import faults, names

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
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"schema_revision": first}] * 2
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
    assert set(first) == {"schema_revision"}


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
