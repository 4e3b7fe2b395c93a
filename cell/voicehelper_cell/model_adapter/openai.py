"""A provider that speaks OpenAI's chat completions over HTTP, streamed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
from voicehelper_core.errors import QuotaExceeded, Unavailable
from voicehelper_core.gen.model.v1 import model_pb2

from voicehelper_cell.rag.prompt import tokens
from voicehelper_cell.settings import CellSettings

_REST_SECONDS = 0.2
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=50)
"""An answer never waits for the end of another; httpx's own limit is 100 at a time."""
_REFERENCE = re.compile(r"\[(\d{1,3})\]")
_UNKNOWN = re.compile(r"\b(?:do not|don't|don’t) know\b|不知道", re.IGNORECASE)


class OpenAICompatible:
    """One HTTP client for all answers; keys never reach a log."""

    def __init__(self, settings: CellSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        headers = {"Authorization": f"Bearer {settings.model_api_key}"} if settings.model_api_key else {}
        self._http = httpx.AsyncClient(
            base_url=settings.model_base_url.rstrip("/") + "/",
            headers=headers,
            timeout=httpx.Timeout(settings.model_timeout_seconds, connect=10),
            transport=transport,
            limits=_LIMITS,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def generate(self, request: Any) -> AsyncIterator[Any]:
        """Deltas as they come, a quote for each passage that the answer names, usage.

        Raises Unavailable, QuotaExceeded.
        """
        body = {
            "model": request.model,
            "messages": _messages(request),
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"max_tokens": request.max_tokens} if request.max_tokens else {}),
        }
        answer, usage, finished = "", None, False
        try:
            async with self._http.stream("POST", "chat/completions", json=body) as response:
                await _check(response)
                async for event in _events(response):
                    usage = event.get("usage") or usage
                    for choice in event.get("choices") or []:
                        finished = finished or choice.get("finish_reason") is not None
                        if text := (choice.get("delta") or {}).get("content"):
                            answer += text
                            yield model_pb2.GenerateChunk(delta=text)
        except httpx.HTTPError as error:
            raise Unavailable(f"the model provider does not answer ({type(error).__name__})") from None
        except (AttributeError, TypeError):
            raise Unavailable("the model provider sent something that is not a chat completion") from None
        if not finished:
            raise Unavailable("the model provider ended in the middle of an answer: ask again")
        for quote in _quotes(answer, request.passages):
            yield model_pb2.GenerateChunk(quote=quote)
        yield model_pb2.GenerateChunk(usage=self._usage(request, body["messages"], answer, usage))

    def _usage(self, request: Any, messages: list[dict[str, str]], answer: str, usage: dict[str, Any] | None) -> Any:
        """The provider's count, or ours where it sends none."""
        counted = usage or {}
        prompt = int(counted.get("prompt_tokens") or sum(tokens(item["content"]) for item in messages))
        completion = int(counted.get("completion_tokens") or tokens(answer))
        price = self._settings
        cost = prompt * price.model_prompt_usd_per_million + completion * price.model_completion_usd_per_million
        return model_pb2.Usage(
            model=request.model,
            provider="openai-compatible",
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=cost / 1e6,
            answered=not _UNKNOWN.search(answer),
        )


def _messages(request: Any) -> list[dict[str, str]]:
    """The passages stand before the question, each under its reference."""
    messages = [{"role": item.role, "content": item.content} for item in request.messages]
    if request.passages and messages:
        listed = "\n\n".join(f"[{item.ref}] {item.title}\n{item.text}" for item in request.passages)
        last = messages[-1]
        messages[-1] = {**last, "content": f"Passages:\n\n{listed}\n\nQuestion: {last['content']}"}
    return messages


def _quotes(answer: str, passages: Any) -> list[Any]:
    """Whole passages that the answer refers to, in order of appearance."""
    known = {item.ref: item for item in passages}
    named = dict.fromkeys(_REFERENCE.findall(answer))
    return [model_pb2.Quote(ref=ref, start=0, end=len(known[ref].text)) for ref in named if ref in known]


async def _check(response: httpx.Response) -> None:
    if response.status_code < 400:
        return
    await response.aread()
    if response.status_code == 429:
        raise QuotaExceeded("the model provider limits requests: try again in a moment")
    raise Unavailable(f"the model provider refused the request with {response.status_code}")


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    lines = response.aiter_lines()
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            await _rest(lines)
            return
        try:
            event = json.loads(data)
        except ValueError:
            raise Unavailable("the model provider sent something that is not JSON") from None
        if isinstance(event, dict):
            yield event


async def _rest(lines: AsyncIterator[str]) -> None:
    """Read to the end of the body, so that the connection serves the next answer too; a held one is given up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REST_SECONDS):
            async for _ in lines:
                pass
