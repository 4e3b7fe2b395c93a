"""Server-sent events on the wire: frames, ids, heartbeats, resumption, failures."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_cell.web import sse
from voicehelper_cell.web.tests.conftest import CITATION, Bff, answer
from voicehelper_core.errors import NotFound, Unavailable
from voicehelper_core.gen.conversation.v1 import conversation_pb2

MESSAGES = "/api/v1/conversations/c1/messages"
STREAM = {"Accept": "text/event-stream"}


def parse(text: str) -> list[dict[str, Any]]:
    """Events as a browser reads them."""
    found: list[dict[str, Any]] = []
    current: dict[str, Any] = {}
    for line in text.split("\n"):
        if not line and "data" in current:
            found.append({**current, "data": json.loads(current["data"])})
            current = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            assert name not in current
            current[name] = value
    assert not current
    return found


async def test_an_answer_as_a_stream(bff: Bff) -> None:
    async with bff.client() as client:
        response = await client.post(MESSAGES, json={"content": "What?"}, headers={**STREAM, "Idempotency-Key": "k"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-store"
    events = parse(response.text)
    assert [(event["id"], event["event"]) for event in events] == [
        ("1", "message.started"), ("2", "delta"), ("3", "citation"), ("4", "message.completed"),
    ]  # fmt: skip
    assert events[0]["data"]["id"] == "m1"
    assert events[1]["data"] == {"delta": "Forty-\n\ntwo."}
    citation = {"document_id": "d1", "title": "Fees", "start": 3, "end": 8, "text": "a\n\nb"}
    assert events[2]["data"] == citation
    assert (events[3]["data"]["content"], events[3]["data"]["citations"]) == ("Forty-\n\ntwo.", [citation])
    request = bff.conversations.requests[0]
    assert (request.conversation_id, request.content, request.idempotency_key) == ("c1", "What?", "k")


async def test_an_answer_as_json(bff: Bff) -> None:
    async with bff.client() as client:
        response = await client.post(MESSAGES, json={"content": "What?"})
    assert response.status_code == 200
    body = response.json()
    assert (body["id"], body["role"], body["content"]) == ("m1", "assistant", "Forty-\n\ntwo.")
    assert body["citations"][0]["end"] == CITATION.end


async def test_a_failed_answer(bff: Bff) -> None:
    bff.conversations.script = answer(error=True)
    async with bff.client() as client:
        whole = await client.post(MESSAGES, json={"content": "What?"})
        stream = await client.post(MESSAGES, json={"content": "What?"}, headers=STREAM)
    assert (whole.status_code, whole.json()["detail"]) == (503, "no model")
    last = parse(stream.text)[-1]
    assert (stream.status_code, last["event"]) == (200, "error")
    assert last["data"] == {"code": "unavailable", "detail": "no model"}


@pytest.mark.parametrize("headers", [{}, STREAM])
async def test_what_fails_before_the_first_event_is_an_ordinary_answer(bff: Bff, headers: dict[str, str]) -> None:
    bff.conversations.script = [NotFound("there is no conversation with this id")]
    async with bff.client() as client:
        response = await client.post(MESSAGES, json={"content": "What?"}, headers=headers)
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("application/problem+json")


async def test_a_stream_that_breaks_ends_without_an_id(bff: Bff) -> None:
    bff.conversations.script = [*answer()[:2], Unavailable("the cell stops")]
    async with bff.client() as client:
        response = await client.post(MESSAGES, json={"content": "What?"}, headers=STREAM)
    *_, last = parse(response.text)
    assert last == {"event": "error", "data": {"code": "unavailable", "detail": "the cell stops"}}


@pytest.mark.parametrize("seen", [None, 0, 1, 2, 3, 4])
async def test_resuming(bff: Bff, seen: int | None) -> None:
    headers = {} if seen is None else {"Last-Event-ID": str(seen)}
    async with bff.client() as client:
        response = await client.get(f"{MESSAGES}/m1/events", headers=headers)
    assert response.status_code == 200
    assert [event["id"] for event in parse(response.text)] == [str(n) for n in range((seen or 0) + 1, 5)]


@pytest.mark.parametrize("seen", ["x", "-1", "1.5", "9" * 19, "１", ""])
async def test_what_is_no_event_id(bff: Bff, seen: str) -> None:
    async with bff.client() as client:
        response = await client.get(f"{MESSAGES}/m1/events", headers={"Last-Event-ID": seen.encode()})
    assert response.status_code == 400


async def test_heartbeats_while_nothing_comes(bff: Bff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.02)
    gate = asyncio.Event()
    first, *rest = answer()
    bff.conversations.script = [first, gate, *rest]
    async with bff.client() as client, client.stream("POST", MESSAGES, json={"content": "?"}, headers=STREAM) as stream:
        text = ""
        async for piece in stream.aiter_text():
            text += piece
            if text.count(sse.HEARTBEAT) >= 2:
                gate.set()
    assert [event["id"] for event in parse(text)] == ["1", "2", "3", "4"]


async def test_a_client_that_leaves_is_let_go(bff: Bff) -> None:
    bff.conversations.script = [answer()[0], asyncio.Event()]
    async with bff.client() as client:
        async with client.stream("POST", MESSAGES, json={"content": "?"}, headers=STREAM) as stream:
            assert await anext(stream.aiter_text())
        bff.conversations.script = answer()
        assert (await client.post(MESSAGES, json={"content": "?"})).status_code == 200


@given(st.text())
def test_any_text_survives_a_frame(text: str) -> None:
    event = conversation_pb2.MessageEvent(id=7, type="delta")
    event.delta = text.encode(errors="replace").decode()
    (read,) = parse(sse.frame(event))
    assert (read["id"], read["data"]["delta"]) == ("7", event.delta)
