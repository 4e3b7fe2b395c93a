"""The OpenAI-compatible adapter against a provider that speaks the wire format over a loopback socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from voicehelper_cell.model_adapter.openai import OpenAICompatible
from voicehelper_cell.settings import CellSettings
from voicehelper_core.errors import QuotaExceeded, Unavailable
from voicehelper_core.gen.model.v1 import model_pb2

FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def word(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


@dataclass
class Provider:
    """Answers every request with ``status`` and ``parts``, written as they are.

    With ``keep`` the connection stays open; with ``hold`` the body does not end there. Nothing is answered before there
    were as many connections as are ``wanted``.
    """

    url: str = ""
    status: int = 200
    parts: list[bytes] = field(default_factory=list)
    keep: bool = False
    hold: bool = False
    connections: int = 0
    wanted: int = 0
    head: str = ""
    body: dict[str, Any] = field(default_factory=dict)

    def say(self, *events: dict[str, Any], done: bool = True) -> None:
        self.parts = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events]
        if done:
            self.parts.append(b"data: [DONE]\n\n")

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            await self.answer(reader, writer)
            while self.keep:
                await self.answer(reader, writer)
        writer.close()
        await writer.wait_closed()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in self.head.splitlines() if line.lower().startswith("content-l")
        )
        self.body = json.loads(await reader.readexactly(length))
        while self.connections < self.wanted:
            await asyncio.sleep(0.01)
        kind = "text/event-stream" if self.status == 200 else "application/json"
        how = "Transfer-Encoding: chunked" if self.keep else "Connection: close"
        writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Type: {kind}\r\n{how}\r\n\r\n".encode())
        for part in self.parts:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part) if self.keep else part)
            await writer.drain()
            await asyncio.sleep(0)
        if self.keep and not self.hold:
            writer.write(b"0\r\n\r\n")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield made
    server.close()
    await server.wait_closed()


async def generate(provider: Provider, times: int = 1, **more: Any) -> list[Any]:
    settings = CellSettings(
        cell_id="ctest0000001", model_base_url=provider.url, model_api_key="sk-test", model_name="m1",
        model_prompt_usd_per_million=2, model_completion_usd_per_million=10, **more,
    )  # fmt: skip
    model = OpenAICompatible(settings)
    request = model_pb2.GenerateRequest(
        model="m1",
        max_tokens=50,
        messages=[
            model_pb2.ChatMessage(role="system", content="Be brief."),
            model_pb2.ChatMessage(role="user", content="What is the fee?"),
        ],
        passages=[
            model_pb2.Passage(ref="1", title="Fees", text="The fee is 25 dollars."),
            model_pb2.Passage(ref="2", title="Cats", text="Cats sleep."),
        ],
    )
    try:
        return [chunk for _ in range(times) async for chunk in model.generate(request)]
    finally:
        await model.close()


async def test_the_request_on_the_wire(provider: Provider) -> None:
    provider.say(word("x"), FINISH)
    await generate(provider)
    assert provider.head.startswith("POST /v1/chat/completions HTTP/1.1")
    assert "authorization: bearer sk-test" in provider.head.lower()
    assert provider.body["model"] == "m1"
    assert provider.body["max_tokens"] == 50
    assert provider.body["stream"] is True
    assert provider.body["stream_options"] == {"include_usage": True}
    system, question = provider.body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert "[1] Fees\nThe fee is 25 dollars." in question["content"]
    assert question["content"].endswith("Question: What is the fee?")


async def test_deltas_quotes_and_usage(provider: Provider) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}}
    provider.say(word("The fee is "), word("25 dollars [1], 价格 [1][9]."), FINISH, usage)
    *deltas, quote, last = await generate(provider)
    assert "".join(chunk.delta for chunk in deltas) == "The fee is 25 dollars [1], 价格 [1][9]."
    assert (quote.quote.ref, quote.quote.start, quote.quote.end) == ("1", 0, 22)
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (100, 20)
    assert last.usage.cost_usd == pytest.approx((100 * 2 + 20 * 10) / 1e6)
    assert (last.usage.model, last.usage.provider, last.usage.answered) == ("m1", "openai-compatible", True)


async def test_events_cut_anywhere_on_the_wire(provider: Provider) -> None:
    provider.say(word("Gebühr "), word("二十五"), FINISH)
    whole = b": comment\n\nevent: x\n" + b"".join(provider.parts).replace(b"\n\n", b"\r\n\r\n")
    provider.parts = [whole[at : at + 3] for at in range(0, len(whole), 3)]
    chunks = await generate(provider)
    assert "".join(chunk.delta for chunk in chunks) == "Gebühr 二十五"


async def test_tokens_are_counted_when_the_provider_does_not(provider: Provider) -> None:
    provider.say(word("I don't know."), FINISH)
    *_, last = await generate(provider)
    assert last.usage.prompt_tokens > 10
    assert last.usage.completion_tokens > 1
    assert not last.usage.answered


@pytest.mark.parametrize(("status", "kind"), [(429, QuotaExceeded), (500, Unavailable), (401, Unavailable)])
async def test_refusals(provider: Provider, status: int, kind: type[Exception]) -> None:
    provider.status, provider.parts = status, [b'{"error": {"message": "sk-test is bad"}}']
    with pytest.raises(kind) as caught:
        await generate(provider)
    assert "sk-test" not in str(caught.value)


@pytest.mark.parametrize(
    "parts",
    [
        [b"data: {broken\n\n"],
        [b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n'],
        [b'data: {"choices": "none"}\n\n'],
        [b'data: {"choices": [{"delta": "none"}]}\n\n'],
        [b"data: []\n\n"],
        [],
    ],
)
async def test_what_is_no_answer(provider: Provider, parts: list[bytes]) -> None:
    provider.parts = parts
    with pytest.raises(Unavailable):
        await generate(provider)


async def test_a_provider_that_is_not_there(provider: Provider) -> None:
    provider.url = "http://127.0.0.1:1/v1"
    with pytest.raises(Unavailable, match="does not answer"):
        await generate(provider)


@pytest.mark.parametrize(("hold", "connections"), [(False, 1), (True, 2)])
async def test_a_connection_serves_many_answers(provider: Provider, hold: bool, connections: int) -> None:
    provider.keep, provider.hold = True, hold
    provider.say(word("Twenty-five."), FINISH)
    chunks = await generate(provider, times=2)
    assert [chunk.delta for chunk in chunks if chunk.WhichOneof("part") == "delta"] == ["Twenty-five."] * 2
    assert provider.connections == connections


async def test_answers_do_not_wait_for_one_another(provider: Provider) -> None:
    provider.wanted = 150
    provider.say(word("Yes."), FINISH)
    settings = CellSettings(cell_id="ctest0000001", model_base_url=provider.url, model_name="m1")
    model = OpenAICompatible(settings)
    request = model_pb2.GenerateRequest(model="m1", messages=[model_pb2.ChatMessage(role="user", content="Well?")])

    async def answer() -> int:
        return len([chunk async for chunk in model.generate(request)])

    try:
        async with asyncio.timeout(20):
            assert await asyncio.gather(*(answer() for _ in range(150))) == [2] * 150
    finally:
        await model.close()
