"""Order and pages of conversations and messages."""

from __future__ import annotations

import asyncio

import pytest
from voicehelper_cell.conversation.tests.conftest import Talk
from voicehelper_cell.tests.conftest import ACME, GLOBEX
from voicehelper_core.errors import InvalidArgument


async def test_writers_at_once_keep_pairs_together(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    await asyncio.gather(*(talk.ask(ACME, conversation, f"Question {number}?") for number in range(10)))
    rows = await talk.rows()
    assert [row["sequence"] for row in rows] == list(range(1, 21))
    assert [row["role"] for row in rows] == ["user", "assistant"] * 10
    assert {row["content"] for row in rows[::2]} == {f"Question {number}?" for number in range(10)}


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_of_messages(talk: Talk, limit: int) -> None:
    conversation = await talk.conversation(ACME)
    for number in range(4):
        await talk.ask(ACME, conversation, f"Question {number}?")
    found, cursor = [], ""
    while True:
        page, cursor = await talk.service.history(ACME, conversation, limit, cursor)
        assert 0 < len(page) <= limit
        found += page
        if not cursor:
            break
    assert [message.sequence for message in found] == list(range(1, 9))
    assert found[0].content == "Question 0?"


async def test_pages_of_conversations_newest_first(talk: Talk) -> None:
    made = [(await talk.service.create(ACME, f"Number {number}", "", "")).id for number in range(7)]
    await talk.service.create(GLOBEX, "Not acme's", "", "")
    found, cursor = [], ""
    while True:
        page, cursor = await talk.service.listing(ACME, 3, cursor)
        found += page
        if not cursor:
            break
    assert [item.id for item in found] == made[::-1]
    assert [item.title for item in (await talk.service.listing(GLOBEX, 0, ""))[0]] == ["Not acme's"]


async def test_bad_pages_are_refused(talk: Talk) -> None:
    conversation = await talk.conversation(ACME)
    for limit, cursor in ((101, ""), (-1, ""), (10, "nonsense"), (10, "é"), (10, "WyJ4Il0"), (10, "\0")):
        with pytest.raises(InvalidArgument):
            await talk.service.history(ACME, conversation, limit, cursor)
        with pytest.raises(InvalidArgument):
            await talk.service.listing(ACME, limit, cursor)


@pytest.mark.parametrize(("title", "mode"), [("x" * 201, ""), ("a\0b", ""), ("fine", "agent"), ("fine", "nonsense")])
async def test_what_is_no_conversation(talk: Talk, title: str, mode: str) -> None:
    with pytest.raises(InvalidArgument):
        await talk.service.create(ACME, title, mode, "")
