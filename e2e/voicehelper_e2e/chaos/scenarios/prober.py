"""A client that never repeats: it takes the time of every request and its status, or that there was none."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from voicehelper_e2e.chaos.scenarios.stage import Stage

DEADLINE_SECONDS, UPLOAD_DEADLINE_SECONDS = 40.0, 70.0
"""Every request is answered within it, also by an error: the router's timeout (35 s; 65 s), and some for load."""
_PAUSE_SECONDS = 0.4
_REMOVE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Tried:
    """A request: when it began (monotonic), how long it took, its status (0: none) and its problem's detail."""

    at: float
    seconds: float
    what: str
    status: int
    detail: str = ""


@dataclass(slots=True)
class Tries:
    """What a prober met."""

    all: list[Tried] = field(default_factory=list)
    document: str = ""
    """Id of the one that was uploaded, once that is known."""

    def since(self, moment: float) -> Sequence[Tried]:
        """Those that began later."""
        return [one for one in self.all if one.at >= moment]

    def statuses(self) -> Counter[str]:
        """Counts by status."""
        return Counter(str(one.status or "none") for one in self.all)

    def slowest(self) -> float:
        """Seconds of the slowest."""
        return round(max((one.seconds for one in self.all), default=0.0), 1)


@asynccontextmanager
async def probing(stage: Stage, tenant: str, *, writes: bool = True) -> AsyncIterator[Tries]:
    """Read and write through the router with one token, taken before, as long as the block runs."""
    tries = Tries()
    headers = await asyncio.to_thread(stage.fired.platform.headers, tenant)
    async with httpx.AsyncClient(
        base_url=stage.fired.platform.router, headers=headers, timeout=DEADLINE_SECONDS, trust_env=False
    ) as client:
        tasks = [asyncio.create_task(_read(client, tries))]
        if writes:
            tasks += [asyncio.create_task(_write(client, tries)), asyncio.create_task(_upload(client, tries))]
        try:
            yield tries
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _remove(client, tries.document)


async def _remove(client: httpx.AsyncClient, document: str) -> None:
    """The document is the prober's own: nobody else knows of it."""
    end = time.monotonic() + _REMOVE_SECONDS
    while document and time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if (await client.delete(f"/api/v1/knowledge/documents/{document}")).status_code in (200, 204, 404):
                return
        await asyncio.sleep(_PAUSE_SECONDS)


async def _read(client: httpx.AsyncClient, tries: Tries) -> None:
    while True:
        await _try(client, tries, "read", "GET", "/api/v1/conversations")


async def _write(client: httpx.AsyncClient, tries: Tries) -> None:
    while True:
        await _try(client, tries, "write", "POST", "/api/v1/conversations", json={"title": f"probe {uuid.uuid4()}"})


async def _upload(client: httpx.AsyncClient, tries: Tries) -> None:
    """One document under one id: it is replaced each time, so the tenant's quota lasts."""
    while True:
        body = {"title": "Probe", "content": f"# Probe\n\nThis is {uuid.uuid4()}.\n", "external_id": "probe"}
        await _try(
            client, tries, "upload", "POST", "/api/v1/knowledge/documents", json=body, timeout=UPLOAD_DEADLINE_SECONDS
        )
        await asyncio.sleep(3 * _PAUSE_SECONDS)


async def _try(client: httpx.AsyncClient, tries: Tries, what: str, method: str, path: str, **body: object) -> None:
    begun, status, detail = time.monotonic(), 0, ""
    try:
        answer = await client.request(method, path, **body)  # type: ignore[arg-type]
        status = answer.status_code
        if status >= 400:
            with contextlib.suppress(ValueError, TypeError):
                detail = str(answer.json().get("detail", ""))
        elif what == "upload":
            tries.document = answer.json()["id"]
    except httpx.HTTPError as error:
        detail = type(error).__name__
    tries.all.append(Tried(begun, time.monotonic() - begun, what, status, detail))
    await asyncio.sleep(_PAUSE_SECONDS)
