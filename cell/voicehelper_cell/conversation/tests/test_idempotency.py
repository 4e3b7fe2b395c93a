"""One effect per key: retried, at once, after a crash, with another body, a day later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from voicehelper_cell.conversation.tests.conftest import Talk, answer, delta, kinds
from voicehelper_cell.tests.conftest import ACME, CELL, GLOBEX
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument, Unprocessable
from voicehelper_core.faults import FaultError

COLLEAGUE = TenantContext(ACME.tenant_id, ACME.tenant, "user-9", CELL)


async def test_a_retried_message_gives_the_same_answer(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    first = await talk.ask(ACME, conversation, "What?", key="k1")
    assert await talk.ask(ACME, conversation, "What?", key="k1") == first
    assert await talk.another().ask(ACME, conversation, "What?", key="k1") == first
    assert len(talk.orchestrator.requests) == 1
    assert len(await talk.rows()) == 2
    with pytest.raises(Unprocessable):
        await talk.ask(ACME, conversation, "What else?", key="k1")
    assert len(await talk.rows()) == 2
    assert await talk.ask(ACME, conversation, "What?", key="k2") != first


async def test_the_same_key_while_it_runs_follows_the_same_run(talk: Talk) -> None:
    gate = asyncio.Event()
    talk.orchestrator.script = [delta("Forty-"), gate, *answer("two.")]
    conversation = await talk.conversation(ACME)
    asking = [asyncio.create_task(talk.ask(ACME, conversation, key="k")) for _ in range(6)]
    while not talk.orchestrator.requests:
        await asyncio.sleep(0.01)
    asking += [asyncio.create_task(talk.another().ask(ACME, conversation, key="k"))]
    await asyncio.sleep(0.05)
    gate.set()
    answers = await asyncio.gather(*asking)
    assert all(events == answers[0] for events in answers)
    assert len(talk.orchestrator.requests) == 1
    assert [row["role"] for row in await talk.rows()] == ["user", "assistant"]


async def test_a_key_belongs_to_one_user_and_one_conversation(talk: Talk) -> None:
    places = [(who, await talk.conversation(who)) for who in (ACME, ACME, COLLEAGUE, GLOBEX)]
    for number, (who, conversation) in enumerate(places):
        await talk.ask(who, conversation, f"Question {number}?", key="the same")
    assert len(talk.orchestrator.requests) == 4


async def test_a_crash_before_the_commit_leaves_the_key_free(talk: Talk, fault: Any) -> None:
    conversation = await talk.conversation(ACME)
    fault("conversation.send.before:1=raise")
    with pytest.raises(FaultError):
        await talk.ask(ACME, conversation, key="k")
    assert await talk.rows() == []
    assert kinds(await talk.ask(ACME, conversation, key="k"))[-1] == "message.completed"
    assert len(await talk.rows()) == 2


async def test_a_retry_after_a_crash_is_answered_under_the_same_key(talk: Talk, fault: Any) -> None:
    conversation = await talk.conversation(ACME)
    fault("conversation.send.recorded:1=raise")
    with pytest.raises(FaultError):
        await talk.ask(ACME, conversation, key="k")
    later = talk.another()
    assert await later.runs.recover([ACME]) == 1
    events = await later.ask(ACME, conversation, key="k")
    assert kinds(events)[-1] == "message.completed"
    assert events[0].id > 1  # ids go on where the failed attempt ended
    assert await later.ask(ACME, conversation, key="k") == events
    assert [row["status"] for row in await talk.rows()] == ["completed", "completed"]
    assert [event.payload.role for event in await talk.outbox() if event.event_type == "conversation.message.sent"] == [
        "user",
        "assistant",
    ]


async def test_a_key_is_forgotten_after_a_day(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    await talk.ask(ACME, conversation, "What?", key="k")
    await talk.slice.admin(f"update {CELL}_conversation.idempotency set created_at = now() - interval '25 hours'")
    await talk.ask(ACME, conversation, "Something else?", key="k")
    assert len(await talk.rows()) == 4


async def test_conversations_are_made_once(talk: Talk) -> None:
    made = await asyncio.gather(*(talk.service.create(ACME, "Title", "chat", "k") for _ in range(6)))
    assert len({item.id for item in made}) == 1
    assert [event.event_type for event in await talk.outbox()] == ["conversation.created"]
    with pytest.raises(Unprocessable):
        await talk.service.create(ACME, "Another title", "chat", "k")
    assert (await talk.service.create(COLLEAGUE, "Another title", "chat", "k")).id != made[0].id


@pytest.mark.parametrize("key", ["k" * 201, "k\0"])
async def test_what_is_no_key(talk: Talk, key: str) -> None:
    with pytest.raises(InvalidArgument):
        await talk.service.create(ACME, "Title", "", key)
