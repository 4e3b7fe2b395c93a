"""A tenant that moves, through the real Envoy: its requests wait, and arrive where it lives afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from voicehelper_router.tests.harness import CELL_A, CELL_B, RouterUnderTest, problem, received
from voicehelper_router.xds.facts import TenantFacts

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
async def as_before(router: RouterUnderTest) -> AsyncIterator[None]:
    await router.settled()
    yield
    router.load()
    await router.settled()
    await router.held(0)


async def put(router: RouterUnderTest, *, cell: str, held: bool) -> None:
    router.cache.set_tenant("acme", TenantFacts(name="acme", state="held" if held else "routable", cell_id=cell))
    await router.settled()


async def told(router: RouterUnderTest) -> bool:
    return bool((await router.ask_xds("/tenants/acme")).json()["held"])


@pytest.mark.parametrize(("home", "server"), [(CELL_B, "b"), (CELL_A, "a")], ids=["moved", "given up"])
async def test_requests_wait_and_arrive_where_the_tenant_lives(router: RouterUnderTest, home: str, server: str) -> None:
    assert not await told(router)
    await put(router, cell=CELL_A, held=True)
    assert await told(router)
    body = b"x" * 200_000
    waiting = [
        asyncio.create_task(router.get()),
        asyncio.create_task(router.get(method="POST", content=body, headers=[("x-user-id", "root")])),
    ]
    await router.held(2)
    before = router.a.requests, router.b.requests
    assert (await router.get(tenant="globex")).json()["server"] == "b"  # others do not notice
    await put(router, cell=home, held=False)
    answers = await asyncio.gather(*waiting)
    assert [answer.json()["server"] for answer in answers] == [server, server]
    assert received(answers[1])["x-user-id"] == ["u1"]
    assert (router.a.requests - before[0], router.b.requests - before[1]) == ((0, 3) if server == "b" else (2, 1))
    assert not await told(router)


async def test_a_stream_that_has_begun_goes_on_in_the_old_cell(router: RouterUnderTest) -> None:
    headers = {"X-Tenant-ID": "acme", "Authorization": f"Bearer {router.issuer.token('acme')}"}
    client = httpx.AsyncClient(base_url=router.url, headers=headers, trust_env=False, timeout=15)
    async with client, client.stream("GET", "/api/v1/sse") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "id: 0"
        await put(router, cell=CELL_A, held=True)
        await put(router, cell=CELL_B, held=False)
        assert (await router.get()).json()["server"] == "b"
        for _ in range(3):
            router.a.next_event.set()
            await asyncio.sleep(0.05)
        assert [line async for line in lines if line.startswith("id")] == ["id: 1", "id: 2"]


async def test_the_probe_does_not_wait(router: RouterUnderTest) -> None:
    await put(router, cell=CELL_A, held=True)
    answer = await router.get(path="/api/v1/probe")
    assert problem(answer, 503, "unavailable")["detail"] == "the tenant moves to another cell: try again in a moment"


async def test_who_waits_too_long_is_told(router: RouterUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router.waiting, "_seconds", 0.2)
    await put(router, cell=CELL_A, held=True)
    answer = await router.get()
    assert answer.headers["retry-after"]
    assert "try again in a moment" in problem(answer, 503, "unavailable")["detail"]
