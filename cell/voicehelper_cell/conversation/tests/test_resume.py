"""A stream that was cut anywhere is continued: the rest exactly once, from memory and from Postgres."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voicehelper_cell.conversation.run import Run
from voicehelper_cell.conversation.tests.conftest import Talk, answer, delta, kinds
from voicehelper_cell.tests.conftest import ACME, CELL, GLOBEX
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument, NotFound

COLLEAGUE = TenantContext(ACME.tenant_id, ACME.tenant, "user-9", CELL)


async def _all(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_cut_at_any_event(talk: Talk) -> None:
    talk.orchestrator.script = answer("Forty-", "two", " is", " it.")
    conversation = await talk.conversation(ACME)
    events = await talk.ask(ACME, conversation)
    message = events[0].body["message"]["id"]
    for process in (talk, talk.another()):
        for cut in range(len(events) + 2):
            rest = await _all(await process.service.follow(ACME, conversation, message, cut))
            assert rest == events[cut:]


async def test_many_listeners_of_a_running_answer(talk: Talk) -> None:
    gates = [asyncio.Event() for _ in range(4)]
    words = ["a", "b", "c", "d"]
    talk.orchestrator.script = [x for gate, word in zip(gates, words, strict=True) for x in (gate, delta(word))]
    talk.orchestrator.script += answer("e")
    conversation = await talk.conversation(ACME)
    stream = await talk.service.send(ACME, conversation, "What?", "")
    asking = asyncio.create_task(_all(stream))
    gates[0].set()
    while len(await talk.rows()) < 2:
        await asyncio.sleep(0.01)
    message = str((await talk.rows())[1]["id"])
    elsewhere = talk.another()
    listeners: list[tuple[int, asyncio.Task[list[Any]]]] = []
    for gate in gates[1:]:
        for after, process in ((0, talk), (1, elsewhere), (3, talk), (2, elsewhere)):
            following = _all(await process.service.follow(ACME, conversation, message, after))
            listeners.append((after, asyncio.create_task(following)))
        await asyncio.sleep(0.03)
        gate.set()
    events = await asking
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    for after, listener in listeners:
        assert await listener == events[after:]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.integers(1, 4), min_size=1, max_size=6), cuts=st.lists(st.integers(0, 30), max_size=4))
async def test_groups_of_events_do_not_matter(groups: list[int], cuts: list[int]) -> None:
    run = Run.of(ACME, ACME.tenant_id, ACME.tenant_id, content="", history=[])  # type: ignore[arg-type]
    listeners = [asyncio.create_task(_all(run.live(cut))) for cut in cuts]
    for size in groups:
        await run.tell([run.next("delta", {"delta": "x"}) for _ in range(size)])
        await asyncio.sleep(0)
    await run.tell([run.next("message.completed", {})])
    for cut, listener in zip(cuts, listeners, strict=True):
        assert [event.id for event in await listener] == list(range(cut + 1, run.last_id + 1))


async def test_only_the_one_who_asked_may_listen(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    events = await talk.ask(ACME, conversation)
    message = events[0].body["message"]["id"]
    for stranger in (GLOBEX, COLLEAGUE):
        for call in (
            talk.service.follow(stranger, conversation, message, 0),
            talk.service.send(stranger, conversation, "Hello?", ""),
            talk.service.get(stranger, conversation),
            talk.service.history(stranger, conversation, 10, ""),
        ):
            with pytest.raises(NotFound):
                await call
    question = str((await talk.rows())[0]["id"])
    other = await talk.conversation(ACME)
    for place, identifier in ((conversation, question), (other, message), (conversation, "nonsense")):
        with pytest.raises(NotFound):
            await talk.service.follow(ACME, place, identifier, 0)
    with pytest.raises(InvalidArgument):
        await talk.service.follow(ACME, conversation, message, -1)


async def test_a_listener_hears_of_the_answer_before_the_model_says_anything(talk: Talk) -> None:
    gate = asyncio.Event()
    talk.orchestrator.script = [gate, *answer("Slow.")]
    conversation = await talk.conversation(ACME)
    events = await talk.service.send(ACME, conversation, "What?", "")
    try:
        async with asyncio.timeout(30):
            first = await anext(events)
    finally:
        gate.set()
    assert first.type == "message.started"
    assert kinds([event async for event in events])[-1] == "message.completed"
