"""A router that is about to be stopped sends its clients away and lets what is under way end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from voicehelper_router.leaving import leave
from voicehelper_router.tests.harness import RouterUnderTest, running

pytestmark = pytest.mark.integration


@pytest.fixture
async def leaver(tmp_path: Path) -> AsyncIterator[RouterUnderTest]:
    async with running(tmp_path) as started:
        yield started


def headers(router: RouterUnderTest) -> dict[str, str]:
    return {"X-Tenant-ID": "acme", "Authorization": f"Bearer {router.issuer.token('acme')}"}


async def test_what_is_under_way_ends_and_who_stays_is_sent_away(leaver: RouterUnderTest) -> None:
    client = httpx.AsyncClient(base_url=leaver.url, headers=headers(leaver), timeout=15, trust_env=False)
    async with client, client.stream("GET", "/api/v1/sse") as stream:
        lines = stream.aiter_lines()
        assert "close" not in (await client.get("/api/v1/x")).headers.get("connection", "")
        leaving = asyncio.create_task(asyncio.to_thread(leave, leaver.admin_socket, 0.5, 10))
        await asyncio.sleep(1)
        told = await client.get("/api/v1/x")
        assert (told.status_code, told.headers["connection"]) == (200, "close")
        assert (await leaver.get()).status_code == 200, "who comes anew before the end is served"
        assert not leaving.done(), "somebody is served still"
        for _ in range(3):
            leaver.a.next_event.set()
            await asyncio.sleep(0.05)
        assert [line async for line in lines if line.startswith("data")] == ["data: 0", "data: 1", "data: 2"]
        assert await leaving == 0


async def test_it_does_not_wait_for_ever(leaver: RouterUnderTest) -> None:
    client = httpx.AsyncClient(base_url=leaver.url, headers=headers(leaver), timeout=15, trust_env=False)
    async with client, client.stream("GET", "/api/v1/sse"):
        assert await asyncio.to_thread(leave, leaver.admin_socket, 0.1, 0.6) == 1
