"""Two releases of a cell share its users, through the real Envoy: ``a`` serves, ``b`` is tried."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio
from voicehelper_router.filters import paths
from voicehelper_router.tests.harness import CELL_A, RouterUnderTest
from voicehelper_router.xds.facts import CanaryFacts

ASKED = [("x-canary", "true")]


async def tried(router: RouterUnderTest, weight: int | None) -> None:
    """``b`` gets so many percent of acme's users; None: it is not tried any more."""
    canary = None if weight is None else CanaryFacts(http=f"127.0.0.1:{router.b.port}", weight=weight)
    router.cache.set_cell(CELL_A, router.cell(CELL_A, router.a).model_copy(update={"canary": canary}))
    await router.settled()


@pytest_asyncio.fixture(autouse=True)
async def _as_it_was(router: RouterUnderTest) -> AsyncIterator[None]:
    await router.settled()
    yield
    router.b.status = 200
    await tried(router, None)


async def served(router: RouterUnderTest, users: int) -> list[str]:
    """Who serves each of them."""
    found = []
    async with httpx.AsyncClient(base_url=router.url, trust_env=False, timeout=15) as client:
        for number in range(users):
            token = router.issuer.token("acme", sub=f"user-{number}")
            headers = {"X-Tenant-ID": "acme", "Authorization": f"Bearer {token}"}
            found.append((await client.get("/api/v1/x", headers=headers)).json()["server"])
    return found


async def test_users_keep_their_release_and_more_of_them_get_the_new_one(router: RouterUnderTest) -> None:
    before: set[int] = set()
    for weight in (10, 25, 50, 75):
        await tried(router, weight)
        first, again = await served(router, 300), await served(router, 300)
        assert first == again
        now = {number for number, server in enumerate(first) if server == "b"}
        assert before <= now
        assert abs(len(now) - 3 * weight) <= 30
        before = now
    await tried(router, 100)
    assert {*await served(router, 50)} == {"b"}


async def test_who_asks_for_the_canary_gets_it_whatever_the_weight(router: RouterUnderTest) -> None:
    for weight in (0, 50, 100):
        await tried(router, weight)
        for path in ("/api/v1/x", paths.PROBE):
            for method in ("GET", "POST"):
                assert (await router.get(path, method=method, headers=ASKED)).json()["server"] == "b"
    await tried(router, 0)
    assert {*await served(router, 50)} == {"a"}
    assert (await router.get(headers=[("x-canary", "false")])).json()["server"] == "a"
    await tried(router, None)
    assert (await router.get(headers=ASKED)).json()["server"] == "a"


async def configuration(router: RouterUnderTest) -> str:
    """All that Envoy was told of clusters and routes, without versions and times."""
    assert router.admin is not None
    found: list[Any] = []
    for item in (await router.admin.get("/config_dump")).json()["configs"]:
        for name in ("dynamic_active_clusters", "dynamic_route_configs", "dynamic_scoped_route_configs"):
            for part in item.get(name, []):
                part.pop("last_updated", None)
                found.append(part)
    return json.dumps(sorted(json.dumps(part, sort_keys=True) for part in found))


async def test_back_is_the_same_configuration(router: RouterUnderTest) -> None:
    before = await configuration(router)
    await tried(router, 50)
    assert await configuration(router) != before
    await tried(router, None)
    assert await configuration(router) == before


async def test_who_is_in_the_canary_when_it_goes_gets_the_whole_answer(router: RouterUnderTest) -> None:
    await tried(router, 100)
    token = router.issuer.token("acme")
    headers = {"X-Tenant-ID": "acme", "Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(base_url=router.url, trust_env=False, timeout=15) as client,
        client.stream("GET", "/api/v1/sse", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        assert await anext(lines) == "id: 0"
        await tried(router, None)
        seen = ["id: 0"]
        for _ in range(3):
            router.b.next_event.set()
            await asyncio.sleep(0.05)
        seen += [line async for line in lines if line.startswith("id")]
    assert seen == ["id: 0", "id: 1", "id: 2"]
    assert router.b.paths["/api/v1/sse"] == 1


async def test_nobody_is_refused_when_it_takes_over(router: RouterUnderTest) -> None:
    await tried(router, 10)
    stop = asyncio.Event()
    seen: list[tuple[int, str]] = []

    async def client(number: int) -> None:
        while not stop.is_set():
            token = router.issuer.token("acme", sub=f"user-{number}")
            answer = await router.get(token=token, method="POST" if number % 2 else "GET")
            seen.append((answer.status_code, answer.json().get("server", "")))

    working = [asyncio.create_task(client(number)) for number in range(6)]
    for weight in (50, 100):
        await tried(router, weight)
        await asyncio.sleep(0.2)
    router.cache.set_cell(CELL_A, router.cell(CELL_A, router.b))
    await router.settled()
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*working)
    assert {status for status, _ in seen} == {200}
    assert {server for _, server in seen[-12:]} == {"b"}


async def figures(router: RouterUnderTest) -> dict[str, Any]:
    answer = await router.ask_xds(f"/cells/traffic?cell={CELL_A}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_requests_are_told_by_release(router: RouterUnderTest) -> None:
    await tried(router, 0)
    before = await figures(router)
    router.b.status = 500
    for _ in range(5):
        await router.get(method="POST")
    for _ in range(3):
        await router.get(method="POST", headers=ASKED)
    await router.get(method="POST", headers=[*ASKED, ("accept", "text/event-stream")])
    async with asyncio.timeout(20):  # Envoy merges its histograms every five seconds
        while (found := (await figures(router))["cells"][CELL_A])["canary"]["timed"] < 3:
            await asyncio.sleep(0.2)
    assert (found["canary"]["requests"], found["canary"]["errors"], found["canary"]["timed"]) == (4, 4, 3)
    old = before["cells"].get(CELL_A, {}).get("serving", {"requests": 0, "errors": 0})
    assert found["serving"]["requests"] - old["requests"] == 5
    assert found["serving"]["errors"] == old["errors"]
    bounds = (await figures(router))["bounds"]
    assert {0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0} <= {*bounds}
    assert found["canary"]["within"][-1] == 3
    assert (await router.ask_xds("/cells/traffic?cell=.*")).status_code == 400
