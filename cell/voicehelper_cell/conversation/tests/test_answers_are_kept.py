"""What is stored, when, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from voicehelper_cell.conversation import runs
from voicehelper_cell.conversation.tests.conftest import CITATION, Talk, answer, delta, kinds
from voicehelper_cell.tests.conftest import ACME, CELL
from voicehelper_core.errors import InvalidArgument, NotFound, QuotaExceeded, Unavailable


async def test_an_answer_from_the_question_to_the_events(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    events = await talk.ask(ACME, conversation, "What is it?")
    assert [event.id for event in events] == [1, 2, 3, 4, 5]
    assert kinds(events) == ["message.started", "delta", "delta", "citation", "message.completed"]
    message = events[-1].body["message"]
    assert (message["content"], message["citations"]) == ("Forty-two.", [CITATION])
    assert (message["model"], message["tokens_used"], message["status"]) == ("m1", 10, "completed")
    question, stored = await talk.rows()
    assert (question["role"], question["content"], question["status"]) == ("user", "What is it?", "completed")
    assert (str(stored["id"]), stored["content"], stored["status"]) == (message["id"], "Forty-two.", "completed")
    created, asked, answered = await talk.outbox()
    assert (created.event_type, str(created.aggregate_id)) == ("conversation.created", conversation)
    assert [asked.event_type, answered.event_type] == ["conversation.message.sent"] * 2
    assert (asked.payload.role, asked.payload.content, asked.payload.tokens_used) == ("user", "What is it?", 0)
    assert (answered.payload.role, answered.payload.content) == ("assistant", "Forty-two.")
    assert (answered.payload.model, str(answered.payload.cost_usd)) == ("m1", "0.0001")
    assert {event.tenant_id for event in (created, asked, answered)} == {ACME.tenant_id}


async def test_the_question_is_stored_before_anything_runs(talk: Talk) -> None:
    seen: list[Any] = []

    async def look() -> None:
        seen.extend([[row["status"] for row in await talk.rows()], len(await talk.outbox())])

    talk.orchestrator.script = [look, *answer("Yes.")]
    await talk.ask(ACME, await talk.conversation(ACME))
    assert seen == [["completed", "streaming"], 2]


async def test_earlier_messages_go_along(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    await talk.ask(ACME, conversation, "First?")
    talk.orchestrator.script = [Unavailable("no model")]
    await talk.ask(ACME, conversation, "Second?")
    talk.orchestrator.script = answer("Third.")
    await talk.ask(ACME, conversation, "Third?")
    turns = [(turn.role, turn.content) for turn in talk.orchestrator.requests[-1].history]
    assert turns == [("user", "First?"), ("assistant", "Forty-two."), ("user", "Second?")]


async def test_the_run_goes_on_when_the_client_goes(talk: Talk) -> None:
    gate = asyncio.Event()
    talk.orchestrator.script = [delta("Forty-"), gate, *answer("two.")]
    conversation = await talk.conversation(ACME)
    stream = await talk.service.send(ACME, conversation, "What?", "")
    first = await anext(stream)
    await stream.aclose()
    gate.set()
    message = first.body["message"]["id"]
    rest = [event async for event in await talk.service.follow(ACME, conversation, message, first.id)]
    assert rest[-1].body["message"]["content"] == "Forty-two."


async def test_a_client_that_goes_between_commit_and_start(talk: Talk, fault: Any) -> None:
    conversation = await talk.conversation(ACME)
    fault("conversation.send.recorded=sleep:200")
    asking = asyncio.create_task(talk.ask(ACME, conversation))
    while not await talk.rows():
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    _, stored = await talk.rows()
    events = [event async for event in await talk.service.follow(ACME, conversation, str(stored["id"]), 0)]
    assert kinds(events)[-1] == "message.completed"


async def test_a_failure_is_told_and_kept(talk: Talk) -> None:
    talk.orchestrator.script = [delta("Half an"), Unavailable("the model is away")]
    conversation = await talk.conversation(ACME)
    events = await talk.ask(ACME, conversation)
    assert kinds(events)[-1] == "error"
    assert events[-1].body == {"code": "unavailable", "detail": "the model is away"}
    _, stored = await talk.rows()
    assert (stored["status"], stored["error"], stored["content"]) == ("failed", "the model is away", "")
    assert [event.payload.role for event in (await talk.outbox())[1:]] == ["user"]
    again = [event async for event in await talk.another().service.follow(ACME, conversation, str(stored["id"]), 0)]
    assert again == events


async def test_what_a_dead_process_left_is_marked(talk: Talk) -> None:
    gate = asyncio.Event()
    talk.orchestrator.script = [delta("Forty-"), gate, *answer("two.")]
    conversation = await talk.conversation(ACME)
    stream = await talk.service.send(ACME, conversation, "What?", "")
    seen = [await anext(stream), await anext(stream)]
    later = talk.another()
    message = seen[0].body["message"]["id"]
    following = asyncio.create_task(_all(await later.service.follow(ACME, conversation, message, 2)))
    await asyncio.sleep(0.05)
    assert await later.runs.recover([ACME]) == 1
    assert await later.runs.recover([ACME]) == 0
    told = await following
    assert [(event.id, event.body["code"]) for event in told] == [(3, "interrupted")]
    gate.set()  # the process was not dead after all: its answer comes too late, and its listener is told the same
    assert (await _all(stream))[-1] == told[-1]
    assert [row["status"] for row in await talk.rows()] == ["completed", "failed"]
    assert len(await talk.outbox()) == 2


async def test_stopping_ends_what_runs_and_takes_no_more(talk: Talk) -> None:
    talk.orchestrator.script = [delta("Forty-"), asyncio.Event()]
    conversation = await talk.conversation(ACME)
    asking = asyncio.create_task(talk.ask(ACME, conversation))
    while len(await talk.rows()) < 2 or not talk.orchestrator.requests:
        await asyncio.sleep(0.01)
    await talk.runs.close(grace=0.1)
    assert (await asking)[-1].body["code"] == "interrupted"
    assert [row["status"] for row in await talk.rows()] == ["completed", "failed"]
    with pytest.raises(Unavailable):
        await talk.ask(ACME, conversation)
    assert len(await talk.rows()) == 2


async def test_connections_that_die_under_an_answer_are_replaced(talk: Talk) -> None:
    async def die() -> None:
        await talk.slice.admin("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", CELL)

    talk.orchestrator.script = [delta("Forty-"), die, *answer("two."), die]
    events = await talk.ask(ACME, await talk.conversation(ACME))
    assert events[-1].body["message"]["content"] == "Forty-two."
    assert [event.id for event in events] == list(range(1, len(events) + 1))


async def test_a_failure_is_marked_as_soon_as_postgres_is_back(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(runs, "_MARK_SECONDS", 0.1)

    async def vanish() -> None:
        talk.database.away = True

    talk.orchestrator.script = [vanish, *answer("Lost.")]
    conversation = await talk.conversation(ACME)
    events = await talk.ask(ACME, conversation)
    assert events[-1].type == "error"
    assert [row["status"] for row in await talk.rows()] == ["completed", "streaming"]
    talk.database.away = False
    while (await talk.rows())[1]["status"] == "streaming":
        await asyncio.sleep(0.05)
    _, stored = await talk.rows()
    assert stored["status"] == "failed"
    again = [event async for event in await talk.service.follow(ACME, conversation, str(stored["id"]), 0)]
    assert kinds(again) == ["message.started", "error"]
    assert [event.id for event in again] == [event.id for event in events] == [1, 2]


@pytest.mark.parametrize("content", ["", " \n", "with\0nul", "x" * 101])
async def test_what_is_no_message_is_refused(talk: Talk, content: str) -> None:
    conversation = await talk.conversation(ACME)
    with pytest.raises(InvalidArgument, match="content"):
        await talk.ask(ACME, conversation, content)
    assert await talk.rows() == []


async def test_the_quota_of_tokens(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    talk.limits["tokens_per_day"] = 15
    await talk.ask(ACME, conversation, "One?")
    await talk.ask(ACME, conversation, "Two?")
    with pytest.raises(QuotaExceeded):
        await talk.ask(ACME, conversation, "Three?", key="k")
    assert len(await talk.rows()) == 4
    talk.limits["tokens_per_day"] = None
    assert kinds(await talk.ask(ACME, conversation, "Three?", key="k"))[-1] == "message.completed"


async def test_an_unknown_conversation(talk: Talk) -> None:
    for identifier in ("5f0c9f7e-0000-4000-8000-000000000000", "../etc", "", "x" * 500):
        with pytest.raises(NotFound):
            await talk.ask(ACME, identifier)


async def _all(stream: Any) -> list[Any]:
    return [event async for event in stream]
