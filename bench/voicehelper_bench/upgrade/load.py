"""A client of each tenant that asks all the time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import httpx

_PAUSE_SECONDS = 0.4
_QUESTION_EVERY = 10
"""So many requests are a question to the assistant; the others list conversations."""
_TIMEOUT = 20.0


class Load:
    """What was asked, and what was not answered as it should be, by tenant."""

    def __init__(self) -> None:
        self.asked, self.failed = Counter[str](), Counter[str]()
        self.first_failure: float | None = None
        """Seconds since the epoch."""

    async def run(self, router: str, tenant: str, headers: Mapping[str, str]) -> None:
        """Ask until it is cancelled."""
        async with httpx.AsyncClient(base_url=router, headers=headers, timeout=_TIMEOUT, trust_env=False) as client:
            made = await client.post("/api/v1/conversations", json={"title": "Upgrade"})
            made.raise_for_status()
            question = f"/api/v1/conversations/{made.json()['id']}/messages"
            while True:
                asks = self.asked[tenant] % _QUESTION_EVERY == 0
                self.asked[tenant] += 1
                if not await (_post(client, question) if asks else _list(client)):
                    self.failed[tenant] += 1
                    self.first_failure = self.first_failure or time.time()
                await asyncio.sleep(_PAUSE_SECONDS)


async def _list(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/api/v1/conversations")).status_code == 200
    except httpx.HTTPError:
        return False


async def _post(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.post(path, json={"content": "What is the annual fee?"})).status_code == 200
    except httpx.HTTPError:
        return False


@contextlib.asynccontextmanager
async def asking(router: str, headers: Mapping[str, Mapping[str, str]]) -> AsyncIterator[Load]:
    """A client of each tenant meanwhile. Raises ExceptionGroup where one cannot even begin."""
    load = Load()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.run(router, tenant, told)) for tenant, told in headers.items()]
        yield load
        for task in tasks:
            task.cancel()
