"""chat, usage and token over a router in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from typer.testing import Result
from voicehelper_crds.models import Tenant

Cli = Callable[..., Result]
PATH = "/api/v1/conversations/c1/messages"
CITATION = {
    "document_id": "d1",
    "title": "Returns",
    "start": 10,
    "end": 52,
    "text": "Parcels can be returned\nwithin thirty days.",
}


def sse(*events: tuple[str, Any]) -> httpx.Response:
    lines = [
        f"id: {number}\nevent: {name}\ndata: {json.dumps(body)}\n\n" for number, (name, body) in enumerate(events, 1)
    ]
    return httpx.Response(200, text="".join(lines), headers={"content-type": "text/event-stream"})


@pytest.fixture
def answering(router: Any, acme: Tenant) -> Any:
    router.answers["POST /api/v1/conversations"] = lambda _: httpx.Response(201, json={"id": "c1"})
    router.answers[f"POST {PATH}"] = lambda _: sse(
        ("message.started", {"id": "m1"}),
        ("delta", {"delta": "Within "}),
        ("delta", {"delta": "thirty days."}),
        ("citation", CITATION),
        ("message.completed", {"id": "m1", "content": "Within thirty days.", "citations": [CITATION]}),
    )
    return router


def test_the_answer_streams_in_and_citations_follow(cli: Cli, answering: Any) -> None:
    result = cli("chat", "--tenant", "acme", "How long can I return a parcel?")
    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    assert first == "Within thirty days."
    text = "\n".join(rest)
    assert "[1] Returns (10-52): Parcels can be returned within thirty days." in text
    assert "voicehelper knowledge show -t acme d1 --start 10 --end 52" in text
    assert "conversation c1" in result.stderr
    assert answering.requests[-1].headers["accept"] == "text/event-stream"


def test_a_conversation_goes_on(cli: Cli, answering: Any) -> None:
    cli("chat", "--tenant", "acme", "-c", "c1", "And then?")
    assert [request.url.path for request in answering.requests][-1] == PATH
    assert not any(request.url.path == "/api/v1/conversations" for request in answering.requests)


def test_json_is_the_message(cli: Cli, answering: Any) -> None:
    message = {"id": "m1", "content": "Within thirty days.", "citations": [CITATION]}
    answering.answers[f"POST {PATH}"] = lambda _: httpx.Response(200, json=message)
    document = json.loads(cli("chat", "--tenant", "acme", "How long?", "--json").stdout)
    assert document == {"conversation_id": "c1", **message}


def test_an_answer_that_fails_or_breaks_off_is_a_failure(cli: Cli, answering: Any) -> None:
    answering.answers[f"POST {PATH}"] = lambda _: sse(
        ("delta", {"delta": "With"}), ("error", {"code": "unavailable", "detail": "the model is busy"})
    )
    failed = cli("chat", "--tenant", "acme", "How long?")
    assert failed.exit_code == 1
    assert "the model is busy" in failed.stderr
    answering.answers[f"POST {PATH}"] = lambda _: sse(("delta", {"delta": "With"}))
    assert "broke off" in cli("chat", "--tenant", "acme", "How long?").stderr


def test_a_broken_stream_is_resumed_after_the_last_event(cli: Cli, answering: Any) -> None:
    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'id: 1\nevent: message.started\ndata: {"id": "m1"}\n\n'
            yield b'id: 2\nevent: delta\ndata: {"delta": "Within "}\n\n'
            raise httpx.ReadError("connection reset")

    def rest(request: httpx.Request) -> httpx.Response:
        assert request.headers["last-event-id"] == "2"
        return sse(("delta", {"delta": "thirty days."}), ("message.completed", {"id": "m1", "citations": []}))

    answering.answers[f"POST {PATH}"] = lambda _: httpx.Response(200, stream=Broken())
    answering.answers[f"GET {PATH}/m1/events"] = rest
    result = cli("chat", "--tenant", "acme", "How long?")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "Within thirty days.\n"


def test_a_repeated_question_keeps_its_key(cli: Cli, answering: Any) -> None:
    answering.script[f"POST {PATH}"] = [httpx.Response(503, json={"detail": "waking"})]
    assert cli("chat", "--tenant", "acme", "How long?").exit_code == 0
    keys = [request.headers["idempotency-key"] for request in answering.requests if request.url.path == PATH]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_an_empty_question_is_wrong_usage(cli: Cli, answering: Any) -> None:
    assert cli("chat", "--tenant", "acme", "  ").exit_code == 2


def test_an_unknown_tenant_is_named(cli: Cli) -> None:
    result = cli("chat", "--tenant", "nobody", "hello")
    assert result.exit_code == 1
    assert "tenant/nobody does not exist" in result.stderr


def test_usage_reads_every_page_of_one_window(cli: Cli, router: Any, acme: Tenant) -> None:
    totals = {"message_count": 4, "total_tokens": 20, "total_cost": "0.0000", "user_message_count": 2,
              "assistant_message_count": 2}  # fmt: skip

    def answer(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        page = {"from": "F", "to": "T", "totals": totals, "tenant_id": "tabcdefghijk"}
        if "cursor" not in params:
            return httpx.Response(200, json=page | {"items": [{"minute": "09:01", "user_id": "u", **totals}],
                                                    "next_cursor": "next"})  # fmt: skip
        assert (params["cursor"], params["from"], params["to"]) == ("next", "F", "T")
        return httpx.Response(200, json=page | {"items": [{"minute": "09:00", "user_id": "u", **totals}]})

    router.answers["GET /api/v1/usage"] = answer
    document = json.loads(cli("usage", "--tenant", "acme", "--json").stdout)
    assert [item["minute"] for item in document["items"]] == ["09:01", "09:00"]
    assert document["totals"]["message_count"] == 4
    lines = cli("usage", "--tenant", "acme").stdout.splitlines()
    assert lines[0].split() == ["MINUTE", "USER", "MESSAGES", "FROM-USER", "FROM-ASSISTANT", "TOKENS", "COST-USD"]
    assert lines[-1].split() == ["total", "-", "4", "2", "2", "20", "0.0000"]
