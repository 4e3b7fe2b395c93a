"""Clients that work while something is changed under them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from voicehelper_embedded.throwaway import Platform

_PAUSE_SECONDS = 0.1
"""Between the requests of one client: what is changed under them needs the processors, too."""
_QUESTIONS = 5
"""Of a conversation: each answer is told all that was said before, which makes long ones slow and dear."""


class Clients:
    """Ask all the time; ``failed`` is what they were answered instead of what they asked for."""

    def __init__(self, platform: Platform, tenant: str, headers: Mapping[str, str]) -> None:
        self._headers, self._router = {**platform.headers(tenant), **headers}, platform.router
        self.done, self.failed, self.slowest = 0, [], 0.0

    async def run(self) -> None:
        client = httpx.AsyncClient(base_url=self._router, headers=self._headers, timeout=60, trust_env=False)
        async with client, asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(self._read(client) if number % 2 else self._talk(client))

    async def _ask(self, client: httpx.AsyncClient, method: str, path: str, **body: Any) -> httpx.Response:
        began = time.monotonic()
        try:
            answer = await client.request(method, path, **body)
        except httpx.HTTPError as error:
            self.failed.append(f"{method} {path}: {type(error).__name__}: {error}")
            raise
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.done += 1
        if answer.status_code >= 400:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    async def _read(self, client: httpx.AsyncClient) -> None:
        while True:
            await self._ask(client, "GET", "/api/v1/conversations")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _talk(self, client: httpx.AsyncClient) -> None:
        while True:
            made = await self._ask(client, "POST", "/api/v1/conversations", json={"title": "All the time"})
            await self._questions(client, f"/api/v1/conversations/{made.json()['id']}/messages")

    async def _questions(self, client: httpx.AsyncClient, path: str) -> None:
        for _ in range(_QUESTIONS):
            body, headers = {"content": "Which store keeps the vectors?"}, {"Accept": "text/event-stream"}
            answer = await self._ask(client, "POST", path, json=body, headers=headers)
            if "event: message.completed" not in answer.text:
                self.failed.append(f"an answer without an end: {answer.text[-300:]}")
            await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def clients(
    platform: Platform, tenant: str, *, headers: Mapping[str, str] | None = None, may_fail: bool = False
) -> AsyncIterator[Clients]:
    """Work of one tenant meanwhile; no request of it may fail, unless it may."""
    made = Clients(platform, tenant, headers or {})
    task = asyncio.create_task(made.run())
    await asyncio.sleep(2)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert may_fail or made.failed == [], made.failed[:5]
