"""What keeps cells apart in Postgres is made again when somebody takes it away, one guard at a time."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from voicehelper_core import names, row_security
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.errors import Unavailable
from voicehelper_core.tests.conftest import Postgres, postgres

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.postgres import PostgresSlice

__all__ = ["postgres"]
CELL, OTHER = CellRef("cguards00001"), CellRef("cguards00002")
SCHEMA = names.schema(CELL.cell_id, "conversation")
OWNER, WORKER = names.owner_role(CELL.cell_id, "conversation"), names.service_role(CELL.cell_id, "conversation")

DRIFT = {
    "policy dropped": f"DROP POLICY tenant ON {SCHEMA}.messages",
    "policy weakened": f"ALTER POLICY tenant ON {SCHEMA}.messages USING (true)",
    "checks weakened": f"ALTER POLICY tenant ON {SCHEMA}.messages WITH CHECK (true)",
    "policy added": f"CREATE POLICY open ON {SCHEMA}.messages FOR SELECT USING (true)",
    "not forced": f"ALTER TABLE {SCHEMA}.messages NO FORCE ROW LEVEL SECURITY",
    "not enabled": f"ALTER TABLE {SCHEMA}.messages DISABLE ROW LEVEL SECURITY",
    "grant lost": f"REVOKE SELECT ON {SCHEMA}.messages FROM {WORKER}",
    "outbox readable": f"GRANT SELECT, DELETE ON {SCHEMA}.outbox TO {WORKER}",
    "table of everybody": f"GRANT SELECT ON {SCHEMA}.messages TO PUBLIC",
    "table of another": f"GRANT SELECT ON {SCHEMA}.messages TO {OTHER.cell_id}",
    "schema of another": f"GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO {OTHER.cell_id}",
    "schema of everybody": f"GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC",
    "list of another": f"GRANT USAGE ON SCHEMA {names.placement_schema(CELL.cell_id)} TO {OTHER.cell_id}",
    "role of another": f"GRANT {WORKER} TO {OTHER.cell_id}",
    "owner of the workload": f"GRANT {OWNER} TO {CELL.cell_id}",
    "a power": f"ALTER ROLE {WORKER} BYPASSRLS",
    "replication": f"ALTER ROLE {CELL.cell_id} REPLICATION",
    "login of migrations kept": f"ALTER ROLE {names.migrator_role(CELL.cell_id)} VALID UNTIL 'infinity'",
    "trigger dropped": f"DROP TRIGGER outbox_topic ON {SCHEMA}.outbox",
    "trigger disabled": f"ALTER TABLE {SCHEMA}.outbox DISABLE TRIGGER outbox_topic",
}


@pytest.fixture(scope="module")
async def slice_(
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[PostgresSlice]:
    database = f"guards_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute(f"CREATE DATABASE {database}")
    await admin.close()
    dsn = postgres.dsn.replace("/postgres?", f"/{database}?")
    settings = OperatorSettings(postgres_admin_dsn=dsn, postgres_database=database)
    made = PostgresSlice(settings, CellCredentials(FileSecretStore(tmp_path_factory.mktemp("secrets"))))
    admin = await asyncpg.connect(dsn)
    await admin.execute("CREATE ROLE debezium; CREATE PUBLICATION voicehelper")
    for cell in (CELL, OTHER):
        await made.ensure(cell)
    await admin.execute(f"SET ROLE {OWNER}")
    for table, columns in {
        "messages": "id int PRIMARY KEY, tenant_id text",
        "outbox": "id int PRIMARY KEY, tenant_id text",
    }.items():
        await admin.execute(f"CREATE TABLE {SCHEMA}.{table} ({columns}, created_at timestamptz DEFAULT now())")
        for statement in row_security.protect(SCHEMA, table, WORKER):
            await admin.execute(statement)
    await admin.execute(f"CREATE TABLE {SCHEMA}.alembic_version (version_num text)")
    await admin.execute(
        f"CREATE FUNCTION {SCHEMA}.outbox_topic() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;"
        f" CREATE TRIGGER outbox_topic BEFORE INSERT ON {SCHEMA}.outbox FOR EACH ROW"
        f" EXECUTE FUNCTION {SCHEMA}.outbox_topic()"
    )
    await admin.close()
    await made.ensure(CELL)  # the publication
    yield made
    for cell in (CELL, OTHER):
        await made.remove(cell)
    await made.close()


async def test_nothing_is_missing_where_nothing_was_changed(slice_: PostgresSlice) -> None:
    assert await slice_.observe(CELL) == []
    assert await slice_.ensure(CELL) == []


@pytest.mark.parametrize("drift", DRIFT.values(), ids=DRIFT.keys())
async def test_a_guard_that_was_taken_away_is_seen_and_made_again(slice_: PostgresSlice, drift: str) -> None:
    async with slice_._connection() as connection:
        await connection.execute(drift)
    assert len(await slice_.observe(CELL)) == 1
    assert len(await slice_.ensure(CELL)) == 1
    assert await slice_.observe(CELL) == []
    assert await slice_.observe(OTHER) == []


async def test_a_cell_is_not_gone_before_its_last_events_were_read(slice_: PostgresSlice) -> None:
    gone = CellRef("cguards00003")
    await slice_.ensure(gone)
    admin = await asyncpg.connect(slice_._settings.postgres_admin_dsn)
    try:
        await admin.execute("SELECT pg_create_logical_replication_slot('voicehelper', 'test_decoding')")
        with pytest.raises(Unavailable, match="on their way"):
            await slice_.remove(gone)
        with pytest.raises(Unavailable):
            await slice_.remove(gone)
        await admin.execute("SELECT count(*) FROM pg_logical_slot_get_changes('voicehelper', NULL, NULL)")
        await slice_.remove(gone)
        assert not await admin.fetchval("SELECT to_regnamespace($1)", names.schema(gone.cell_id, "knowledge"))
    finally:
        await admin.execute("SELECT pg_drop_replication_slot('voicehelper')")
        await admin.close()
    await slice_.remove(gone)  # without a reader there is nobody to wait for


async def test_migrations_log_in_only_while_one_runs(slice_: PostgresSlice) -> None:
    async def open_seconds() -> float:
        async with slice_._connection() as connection:
            query = "SELECT extract(epoch FROM rolvaliduntil - now())::float8 FROM pg_roles WHERE rolname = $1"
            seconds: float = await connection.fetchval(query, names.migrator_role(CELL.cell_id))
            return seconds

    assert await open_seconds() < 0
    await slice_.let_migrate(CELL, allowed=True)
    assert 300 < await open_seconds() <= 600
    await slice_.let_migrate(CELL, allowed=False)
    assert await open_seconds() < 0
    assert await slice_.observe(CELL) == []
