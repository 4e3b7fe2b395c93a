"""The proof of the stores is proven: each guard is taken away once, and the proof must name it.

The operator would put the guards back, so the test holds its lease meanwhile. Afterwards each guard is put back here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.tests.mutants import proof
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
_LEASE = (
    "INSERT INTO resources.leases VALUES ('operator', 'mutations', now() + interval '20 seconds')"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at"
)
_OWN = "USING (tenant_id = nullif(current_setting('app.tenant_id', true), ''))"

# What is done, how it is undone, which attacks are run, which finding they must have. {v} is the victim's cell, {s} the
# stranger's.
SQL: dict[str, tuple[str, str, str, str]] = {
    "policy open": (
        "ALTER POLICY tenant ON {v}_conversation.messages USING (true)",
        f"ALTER POLICY tenant ON {{v}}_conversation.messages {_OWN}",
        "sql.rls",
        "sql.rls.messages",
    ),
    "second policy": (
        "CREATE POLICY open ON {v}_knowledge.documents FOR SELECT USING (true)",
        "DROP POLICY open ON {v}_knowledge.documents",
        "sql.rls",
        "sql.rls.documents",
    ),
    "policy dropped": (
        "DROP POLICY tenant ON {v}_conversation.idempotency",
        f"CREATE POLICY tenant ON {{v}}_conversation.idempotency {_OWN}",
        "sql.rls",
        "sql.rls.policy",
    ),
    "row security off": (
        "ALTER TABLE {v}_conversation.messages DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE {v}_conversation.messages ENABLE ROW LEVEL SECURITY",
        "sql.rls",
        "sql.rls.messages",
    ),
    "row security not forced": (
        "ALTER TABLE {v}_conversation.messages NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE {v}_conversation.messages FORCE ROW LEVEL SECURITY",
        "sql.rls",
        "sql.rls.forced",
    ),
    "BYPASSRLS": (
        "ALTER ROLE {v}_conversation_rw BYPASSRLS",
        "ALTER ROLE {v}_conversation_rw NOBYPASSRLS",
        "sql.rls",
        "sql.rls.messages",
    ),
    "role granted": (
        "GRANT {v}_conversation_rw TO {s}",
        "REVOKE {v}_conversation_rw FROM {s}",
        "sql.roles",
        "sql.roles",
    ),
    "schema usable": (
        "GRANT USAGE ON SCHEMA {v}_knowledge TO {s}",
        "REVOKE USAGE ON SCHEMA {v}_knowledge FROM {s}",
        "sql.schemas",
        "sql.schema",
    ),
    "outbox readable": (
        "GRANT SELECT ON {v}_conversation.outbox TO {v}_conversation_rw",
        "REVOKE SELECT ON {v}_conversation.outbox FROM {v}_conversation_rw",
        "sql.rows-of-others",
        "sql.outbox",
    ),
    "outbox without its trigger": (
        "ALTER TABLE {s}_conversation.outbox DISABLE TRIGGER outbox_topic",
        "ALTER TABLE {s}_conversation.outbox ENABLE TRIGGER outbox_topic",
        "sql.outbox-topic",
        "sql.outbox.topic",
    ),
    "outbox that believes": (
        "ALTER TABLE {s}_conversation.outbox DISABLE TRIGGER outbox_topic;"
        " CREATE FUNCTION {s}_conversation.believes() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN new.topic := '{s}.conversation.events'; RETURN new; END $$;"
        " CREATE TRIGGER believes BEFORE INSERT ON {s}_conversation.outbox"
        " FOR EACH ROW EXECUTE FUNCTION {s}_conversation.believes()",
        "DROP TRIGGER believes ON {s}_conversation.outbox; DROP FUNCTION {s}_conversation.believes();"
        " ALTER TABLE {s}_conversation.outbox ENABLE TRIGGER outbox_topic",
        "sql.outbox-tenant",
        "sql.outbox.tenant",
    ),
    "outbox for others": (
        "ALTER POLICY tenant ON {v}_conversation.outbox WITH CHECK (true)",
        f"ALTER POLICY tenant ON {{v}}_conversation.outbox {_OWN.replace('USING', 'WITH CHECK')}",
        "sql.rows-of-others",
        "sql.outbox",
    ),
    "references without the tenant": (
        "ALTER TABLE {v}_conversation.messages DROP CONSTRAINT messages_conversation_id_of_tenant",
        "ALTER TABLE {v}_conversation.messages ADD CONSTRAINT messages_conversation_id_of_tenant FOREIGN KEY"
        " (tenant_id, conversation_id) REFERENCES {v}_conversation.conversations (tenant_id, id) ON DELETE CASCADE",
        "sql.rows-of-others",
        "sql.rows.reference",
    ),
    "login of migrations kept": (
        "ALTER ROLE {s}_migrator VALID UNTIL 'infinity'",
        "ALTER ROLE {s}_migrator VALID UNTIL '1970-01-01'",
        "sql.databases",
        "sql.migrator",
    ),
    "locks for everybody": (
        "GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_advisory_lock(bigint) FROM PUBLIC",
        "sql.others",
        "sql.locks",
    ),
    "logical messages for everybody": (
        "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) FROM PUBLIC",
        "sql.others",
        "sql.messages",
    ),
    "sizes for everybody": (
        "GRANT EXECUTE ON FUNCTION pg_total_relation_size(regclass) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_total_relation_size(regclass) FROM PUBLIC",
        "sql.others",
        "sql.sizes",
    ),
    "files for a cell": (
        "GRANT pg_read_server_files TO {s}; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {s}",
        "REVOKE pg_read_server_files FROM {s}; REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM {s}",
        "sql.server",
        "sql.server",
    ),
    "contents published": (
        "ALTER PUBLICATION voicehelper DROP TABLE {v}_conversation.messages;"
        " ALTER PUBLICATION voicehelper ADD TABLE {v}_conversation.messages",
        "",  # the operator's next look does it
        "sql.catalogue",
        "sql.publication",
    ),
}


@pytest.fixture(scope="module")
async def admin(platform: Platform) -> AsyncIterator[asyncpg.Connection]:
    """A superuser, while the operator does not lead."""

    async def hold() -> None:
        while True:
            await keeper.execute(_LEASE)
            await asyncio.sleep(5)

    keeper = await asyncpg.connect(platform.postgres_dsn)
    connection = await asyncpg.connect(platform.postgres_dsn)
    await keeper.execute(_LEASE)
    holding = asyncio.create_task(hold())
    await asyncio.sleep(6)  # until the operator has noticed
    yield connection
    holding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await holding
    await connection.execute("DELETE FROM resources.leases WHERE holder = 'mutations'")
    await connection.close()
    await keeper.close()


async def test_nothing_taken_away(field: Arena, admin: asyncpg.Connection) -> None:
    report = await proof(field, "sql", "kafka.topics", "kafka.groups", "files.machine")
    assert report.findings == [], report.verdict
    assert report.exit_code == 0, report.verdict


@pytest.mark.parametrize(("done", "undone", "attack", "finding"), SQL.values(), ids=SQL.keys())
async def test_postgres_without(
    field: Arena, admin: asyncpg.Connection, *, done: str, undone: str, attack: str, finding: str
) -> None:
    cells = {"v": field.victim.cell_id, "s": field.stranger.cell_id}
    await admin.execute(done.format(**cells))
    try:
        report = await proof(field, attack)
    finally:
        if undone:
            await admin.execute(undone.format(**cells))
    assert finding in report.findings, report.verdict
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("kind", "operation", "attack", "finding"),
    [
        ("TOPIC", "READ", "kafka.topics", "kafka.read"),
        ("TOPIC", "WRITE", "kafka.topics", "kafka.write"),
        ("TOPIC", "DESCRIBE", "kafka.topics", "kafka.list"),
        ("TOPIC", "CREATE", "kafka.topics", "kafka.create"),
        ("GROUP", "READ", "kafka.groups", "kafka.groups"),
        ("TRANSACTIONAL_ID", "ALL", "kafka.groups", "kafka.transactions"),
    ],
)
async def test_kafka_with_an_acl_too_many(
    field: Arena, platform: Platform, *, kind: str, operation: str, attack: str, finding: str
) -> None:
    from confluent_kafka import admin as kafka

    client, user = kafka.AdminClient(platform.kafka_admin), f"User:{field.stranger.cell_id}"
    what = (kafka.ResourceType[kind], "*", kafka.ResourcePatternType.LITERAL, user, "*", kafka.AclOperation[operation])
    allow = kafka.AclPermissionType.ALLOW
    for future in client.create_acls([kafka.AclBinding(*what, allow)]).values():
        await asyncio.to_thread(future.result, 20)
    try:
        report = await proof(field, attack)
    finally:
        for future in client.delete_acls([kafka.AclBindingFilter(*what, allow)]).values():
            await asyncio.to_thread(future.result, 20)
    assert finding in report.findings, report.verdict


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as a cell's user")
@pytest.mark.parametrize(
    ("path", "mode", "finding"),
    [
        ("data/objects/{v}", 0o2777, "files.objects"),
        ("secrets/cell-{v}.json", 0o644, "files.secrets"),
        ("run/cells/{v}", 0o755, "files.run"),
        ("logs", 0o755, "files.machine"),
    ],
)
async def test_files_with_a_mode_too_wide(
    field: Arena, platform: Platform, *, path: str, mode: int, finding: str
) -> None:
    target = Path(platform.home, path.format(v=field.victim.cell_id))
    before = target.stat().st_mode & 0o7777
    target.chmod(mode)
    try:
        report = await proof(field, "files.machine")
    finally:
        target.chmod(before)
    assert finding in report.findings, report.verdict
