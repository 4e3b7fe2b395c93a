"""Sessions of a service: one tenant, one role, nothing of them left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from voicehelper_cell import outbox
from voicehelper_cell.database import Database, connect
from voicehelper_cell.tests.conftest import ACME, CELL, GLOBEX, NEIGHBOUR, Slice
from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied, Unavailable
from voicehelper_core.events import ConversationCreated, Envelope

pytestmark = pytest.mark.integration
ADD = "insert into conversations (tenant_id, user_id, title, mode) values ($1, 'user-1', $2, 'chat') returning id"


async def add(database: Database, who: Any, title: str) -> uuid.UUID:
    async with database.tenant(who) as connection:
        made: uuid.UUID = await connection.fetchval(ADD, who.tenant_id, title)
        return made


async def test_a_tenant_sees_its_own_rows_only(conversations: Database) -> None:
    mine = await add(conversations, ACME, "mine")
    theirs = await add(conversations, GLOBEX, "theirs")
    async with conversations.tenant(ACME) as connection:
        assert await connection.fetchval("select array_agg(title) from conversations") == ["mine"]
        assert await connection.execute("update conversations set title = 'x' where id = $1", theirs) == "UPDATE 0"
        assert await connection.execute("delete from conversations where id = $1", theirs) == "DELETE 0"
        assert await connection.execute("update conversations set title = 'y' where id = $1", mine) == "UPDATE 1"


async def test_a_row_of_another_tenant_cannot_be_written(conversations: Database) -> None:
    for statement in (ADD, "update conversations set tenant_id = $1, title = $2"):
        await add(conversations, ACME, "mine")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with conversations.tenant(ACME) as connection:
                await connection.fetch(statement, GLOBEX.tenant_id, "foreign")


async def test_every_table_of_every_service_is_protected(cell: Slice) -> None:
    rows = await cell.admin(
        "select n.nspname || '.' || c.relname as name, c.relrowsecurity and c.relforcerowsecurity as forced"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = any($1) and c.relkind in ('r', 'p') and c.relname <> 'alembic_version'",
        [names.schema(CELL, service) for service in names.SERVICES],
    )
    assert len(rows) > 8
    assert [row["name"] for row in rows if not row["forced"]] == []


async def test_without_a_tenant_there_are_no_rows(conversations: Database, cell: Slice) -> None:
    await add(conversations, ACME, "mine")
    connection = await asyncpg.connect(cell.dsn)
    try:
        await connection.execute(f"set role {names.service_role(CELL, 'conversation')}")
        assert await connection.fetchval(f"select count(*) from {CELL}_conversation.conversations") == 0
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        f"select * from {CELL}_conversation.conversations",
        f"select * from {CELL}_knowledge.documents",
        f"update {CELL}_placement.tenants set suspended = false",
        f"set role {names.owner_role(CELL, 'conversation')}",
        f"set role {names.service_role(NEIGHBOUR, 'conversation')}",
        f"select * from {NEIGHBOUR}_placement.tenants",
        "create schema mine",
    ],
)
async def test_the_login_by_itself_may_nothing(cell: Slice, statement: str) -> None:
    connection = await asyncpg.connect(cell.dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        f"select * from {CELL}_knowledge.documents",
        f"select * from {NEIGHBOUR}_conversation.conversations",
        "create table conversation_more (id int)",
        "alter table conversations disable row level security",
        "drop policy tenant on conversations",
        "truncate conversations",
    ],
)
async def test_a_service_stays_in_its_schema_and_changes_no_table(conversations: Database, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with conversations.tenant(ACME) as connection:
            await connection.execute(statement)


async def test_no_row_hangs_on_the_row_of_another_tenant(conversations: Database) -> None:
    async with conversations.tenant(ACME) as connection:
        conversation = await connection.fetchval(ADD, ACME.tenant_id, "mine")
    for who, refused in ((ACME, False), (replace(ACME, tenant_id="tmallory0001"), True)):
        with pytest.raises(asyncpg.ForeignKeyViolationError) if refused else contextlib.nullcontext():
            async with conversations.tenant(who) as connection:
                await connection.execute(
                    "insert into messages (tenant_id, conversation_id, user_id, sequence, role, status)"
                    " values ($1, $2, 'user-1', $3, 'user', 'completed')",
                    who.tenant_id,
                    conversation,
                    1 + refused,
                )


async def test_a_failed_session_leaves_nothing_and_a_used_connection_is_nobodys(cell: Slice) -> None:
    pool = await connect(cell.dsn, 1)
    database = Database(pool, CELL, "conversation")
    with pytest.raises(RuntimeError):
        async with database.tenant(ACME) as connection:
            await connection.fetch(ADD, ACME.tenant_id, "lost")
            raise RuntimeError
    async with database.tenant(ACME) as connection:
        assert await connection.fetchval("select count(*) from conversations") == 0
    raw = await pool.acquire()
    assert await raw.fetchval("select current_user::text") == names.login_role(CELL)
    assert not await raw.fetchval("select current_setting('app.tenant_id', true)")
    await pool.release(raw)
    await database.close()


async def test_many_tenants_share_a_pool_without_meeting(cell: Slice) -> None:
    database = Database(await connect(cell.dsn, 3), CELL, "conversation")
    tenants = [replace(ACME, tenant_id=f"tmany{number:07d}") for number in range(20)]

    async def use(who: Any) -> list[str]:
        for number in range(5):
            await add(database, who, f"{who.tenant_id}-{number}")
        async with database.tenant(who) as connection:
            return [row["title"] for row in await connection.fetch("select title from conversations")]

    for who, titles in zip(tenants, await asyncio.gather(*map(use, tenants)), strict=True):
        assert sorted(titles) == [f"{who.tenant_id}-{number}" for number in range(5)]
    await database.close()


async def test_connections_come_in_the_order_of_asking(cell: Slice) -> None:
    """Nobody who asks in the moment of a release comes before those who waited."""
    database = Database(await connect(cell.dsn, 1), CELL, "conversation")
    asked: list[int] = []
    served: list[int] = []

    async def use(number: int) -> None:
        for _ in range(number % 7):
            await asyncio.sleep(0)
        asked.append(number)
        async with database.tenant(ACME):
            served.append(number)

    tasks = []
    for number in range(300):
        tasks.append(asyncio.create_task(use(number)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert served == asked
    await database.close()


@pytest.mark.parametrize("tenant_id", ["", "acme", "tacme0000001'; drop table x; --", "TACME0000001"])
async def test_what_is_no_id_gets_no_session(conversations: Database, tenant_id: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        async with conversations.tenant(replace(ACME, tenant_id=tenant_id)):
            raise AssertionError("unreachable")


async def test_a_connection_that_died_while_idle_is_replaced(conversations: Database, cell: Slice) -> None:
    await add(conversations, ACME, "before")
    await cell.admin("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", CELL)
    await asyncio.sleep(0.05)
    await add(conversations, ACME, "after")


async def test_a_connection_that_dies_in_a_session_is_said_to_be_away(conversations: Database, cell: Slice) -> None:
    with pytest.raises(Unavailable, match="lost"):
        async with conversations.tenant(ACME) as connection:
            await cell.admin("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", CELL)
            await connection.fetch("select 1")
    await add(conversations, ACME, "after")


async def test_a_server_that_is_away_is_said_to_be_away() -> None:
    database = Database(await connect("postgresql://nobody@127.0.0.1:1/none", 2), CELL, "conversation")
    with pytest.raises(Unavailable):
        async with database.tenant(ACME):
            raise AssertionError("unreachable")
    await database.close()


async def test_the_outbox_takes_events_for_the_own_topic_and_gives_none_back(
    conversations: Database, cell: Slice
) -> None:
    await cell.place(ACME)
    payload = ConversationCreated(conversation_id=uuid.uuid4(), title="Ärger 😀", mode="chat")
    async with conversations.tenant(ACME) as connection:
        sent = await outbox.publish(connection, ACME, payload, aggregate_id="c1", aggregate_type="conversation")
        await connection.execute(
            "insert into outbox (topic, aggregatetype, aggregateid, type, tenant_id, payload)"
            " values ($1, 'conversation', 'c2', 't', $2, $3)",
            f"{NEIGHBOUR}.conversation.events",
            ACME.tenant_id,
            sent.to_json().encode(),
        )
    rows = await cell.admin(f"select * from {CELL}_conversation.outbox order by aggregateid")
    assert [row["topic"] for row in rows] == [f"{CELL}.conversation.events"] * 2
    assert Envelope.parse(rows[0]["payload"]) == sent
    assert (rows[0]["id"], rows[0]["tenant_id"], rows[0]["type"]) == (sent.event_id, ACME.tenant_id, sent.event_type)
    for statement in ("select * from outbox", "update outbox set type = 'x'", "delete from outbox"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with conversations.tenant(ACME) as connection:
                await connection.execute(statement)
    for kind, tenant, error in (
        ("document", ACME, asyncpg.NotNullViolationError),
        ("conversation", GLOBEX, PermissionDenied),
    ):
        with pytest.raises(error):
            async with conversations.tenant(ACME) as connection:
                await outbox.publish(connection, tenant, payload, aggregate_id="c3", aggregate_type=kind)


@pytest.mark.parametrize(
    ("tenant", "payload", "error"),
    [
        (GLOBEX, {"tenant_id": GLOBEX.tenant_id}, asyncpg.InsufficientPrivilegeError),  # is in no cell
        (ACME, {"tenant_id": GLOBEX.tenant_id}, asyncpg.InsufficientPrivilegeError),
        (ACME, {"payload": {"tenant_id": ACME.tenant_id}}, asyncpg.InsufficientPrivilegeError),
        (ACME, {"tenant_id": [ACME.tenant_id]}, asyncpg.InsufficientPrivilegeError),
        (ACME, "no object", asyncpg.InsufficientPrivilegeError),
        (ACME, None, asyncpg.InvalidTextRepresentationError),
    ],
)
async def test_the_outbox_takes_events_of_tenants_of_the_cell_only(
    conversations: Database, cell: Slice, *, tenant: TenantContext, payload: object, error: type[Exception]
) -> None:
    await cell.place(ACME)
    with pytest.raises(error):
        async with conversations.tenant(tenant) as connection:
            await connection.execute(
                "insert into outbox (aggregatetype, aggregateid, type, tenant_id, payload)"
                " values ('conversation', 'c', 't', $1, $2)",
                tenant.tenant_id,
                b"{" if payload is None else json.dumps(payload).encode(),
            )


async def test_an_event_of_a_failed_change_is_not_sent(conversations: Database, cell: Slice) -> None:
    await cell.place(ACME)
    payload = ConversationCreated(conversation_id=uuid.uuid4(), title="", mode="chat")
    with pytest.raises(RuntimeError):
        async with conversations.tenant(ACME) as connection:
            await outbox.publish(connection, ACME, payload, aggregate_id="c1", aggregate_type="conversation")
            raise RuntimeError
    assert await cell.admin(f"select 1 from {CELL}_conversation.outbox") == []


async def test_a_disk_that_takes_no_more_is_an_outage_that_says_so(cell: Slice) -> None:
    database = Database(await connect(cell.dsn, 2), CELL, "conversation")
    for code in ("53100", "58030"):  # as Postgres reports a full and a failing disk
        with pytest.raises(Unavailable, match="no room left"):
            async with database.tenant(ACME) as connection:
                await connection.execute(f"do $$ begin raise exception 'disk' using errcode = '{code}'; end $$")
    await add(database, ACME, "after")
    await database.close()


async def test_an_event_that_kafka_would_refuse_is_refused_before(cell: Slice) -> None:
    await cell.place(ACME)
    database = Database(await connect(cell.dsn, 2), CELL, "conversation")
    with pytest.raises(asyncpg.CheckViolationError, match="outbox_payload_size"):
        async with database.tenant(ACME) as connection:
            await connection.execute(
                "insert into outbox (aggregatetype, aggregateid, type, tenant_id, payload)"
                " values ('conversation', 'x', 'y', $1, $2)",
                ACME.tenant_id,
                json.dumps({"tenant_id": ACME.tenant_id, "x": "x" * 2**20}).encode(),
            )
    await database.close()
