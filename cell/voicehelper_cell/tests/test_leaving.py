"""A tenant that moves to another cell: nothing begins here any more, what had begun comes to its end."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from voicehelper_cell.conversation import leases
from voicehelper_cell.database import Database
from voicehelper_cell.placements import Placements
from voicehelper_cell.tests.conftest import ACME, CELL, GLOBEX, Slice
from voicehelper_core import names, placement_list
from voicehelper_core.auth import Claims
from voicehelper_core.errors import Unavailable
from voicehelper_core.events import ConversationCreated, Envelope

pytestmark = pytest.mark.integration
ADD = "insert into conversations (tenant_id, user_id, title, mode) values ($1, 'user-1', 'x', 'chat') returning id"
LEAVE = f"update {names.placement_schema(CELL)}.tenants set leaving = true where tenant_id = $1"


@pytest.fixture
async def placed(cell: Slice) -> Slice:
    for who in (ACME, GLOBEX):
        await cell.place(who)
    return cell


@contextlib.asynccontextmanager
async def move(cell: Slice) -> AsyncIterator[asyncpg.Connection]:
    """What a move does at its fence."""
    connection = await asyncpg.connect(cell.admin_dsn)
    try:
        async with connection.transaction():
            key = placement_list.lock_key(CELL, "$1::text")
            await connection.execute(f"select pg_advisory_xact_lock({key})", ACME.tenant_id)
            await connection.execute(LEAVE, ACME.tenant_id)
            yield connection
    finally:
        await connection.close()


async def test_nothing_can_be_written_but_by_what_finishes(placed: Slice, conversations: Database) -> None:
    async with conversations.tenant(ACME) as connection:
        await connection.fetchval(ADD, ACME.tenant_id)
    async with move(placed):
        pass
    async with conversations.tenant(ACME) as connection:
        assert await connection.fetchval("select count(*) from conversations") == 1
    with pytest.raises(Unavailable, match="moves to another cell"):
        async with conversations.tenant(ACME) as connection:
            await connection.fetchval(ADD, ACME.tenant_id)
    async with conversations.tenant(ACME, finishing=True) as connection:
        await connection.fetchval(ADD, ACME.tenant_id)
    async with conversations.tenant(GLOBEX) as connection:
        await connection.fetchval(ADD, GLOBEX.tenant_id)


async def test_the_fence_waits_for_what_had_begun_and_holds_what_begins(placed: Slice, conversations: Database) -> None:
    order: list[str] = []

    async def fence() -> None:
        async with move(placed):
            order.append("fence")
            await asyncio.sleep(0.2)  # long enough for the other to have come in if nothing stopped it

    async def late() -> None:
        with pytest.raises(Unavailable, match="moves"):
            async with conversations.tenant(ACME) as connection:
                order.append("late")
                await connection.fetchval(ADD, ACME.tenant_id)

    async with conversations.tenant(ACME) as connection:
        moving = asyncio.create_task(fence())
        await asyncio.sleep(0.2)
        beginning = asyncio.create_task(late())
        await asyncio.sleep(0.1)
        await connection.fetchval(ADD, ACME.tenant_id)
        order.append("early")
    await asyncio.gather(moving, beginning)
    assert order == ["early", "fence", "late"]


async def test_neighbours_do_not_wait(placed: Slice, conversations: Database) -> None:
    async with move(placed), asyncio.timeout(5), conversations.tenant(GLOBEX) as connection:
        await connection.fetchval(ADD, GLOBEX.tenant_id)


async def test_a_service_may_enter_and_take_no_other_lock(placed: Slice, conversations: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with conversations.tenant(ACME) as connection:
            await connection.execute(f"update {names.placement_schema(CELL)}.tenants set leaving = false")


async def test_who_is_let_in(placed: Slice) -> None:
    placements = Placements(placed.dsn, CELL)
    claims = Claims(
        iss="voicehelper", aud="voicehelper-api", sub="user-1", tenant="acme", tid=ACME.tenant_id, iat=1, exp=2, jti="j"
    )
    running = asyncio.create_task(placements.run())
    try:
        while placements.reason is not None:
            await asyncio.sleep(0.01)
        assert (await placements.admit(claims)).tenant_id == ACME.tenant_id
        async with move(placed):
            pass
        while [who.tenant for who in placements.all()] != ["globex"]:
            await asyncio.sleep(0.01)
        with pytest.raises(Unavailable, match="moves"):
            placements.admit_user(claims)
        with pytest.raises(Unavailable, match="moves"):
            await placements.admit(claims)
        assert placements.admit_known(claims).tenant_id == ACME.tenant_id, "calls of an answer that is being written"
        assert {who.tenant for who in placements.all(served=False)} == {"acme", "globex"}
        told = ConversationCreated(conversation_id=uuid.uuid4(), title="x")
        for who, admitted in ((ACME, False), (GLOBEX, True)):
            event = Envelope.new(who, told, aggregate_id="a", aggregate_type="conversation")
            assert (await placements.admit_event(event) is not None) is admitted
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_another_cell_still_writes_is_left_alone_for_its_time(
    placed: Slice, conversations: Database
) -> None:
    async with conversations.tenant(ACME) as connection:
        conversation = await connection.fetchval(ADD, ACME.tenant_id)
        for number, until in ((1, "interval '1 minute'"), (2, "interval '-1 minute'")):
            await connection.execute(
                "insert into messages (tenant_id, conversation_id, user_id, sequence, role, content, status, worker,"
                f" leased_until) values ($1, $2, 'user-1', $3, 'assistant', '', 'streaming', $4, now() + {until})",
                ACME.tenant_id, conversation, number, placement_list.MOVED,
            )  # fmt: skip
        found = await leases.abandoned(connection, "us", alone=True)
        assert await connection.fetchval("select sequence from messages where id = any($1)", found) == 2
        assert len(found) == 1
