"""A cell that sleeps, through the real Envoy: requests wait for it, and what they meet when it does not wake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import httpx
import pytest
from voicehelper_router.hold.waiting import HOLDS, Outcome
from voicehelper_router.tests.harness import CELL_A, CELL_B, RouterUnderTest, problem, received
from voicehelper_router.xds import held
from voicehelper_router.xds.clusters import MAX_PENDING
from voicehelper_router.xds.facts import TenantFacts

pytestmark = pytest.mark.integration
_PIECES = 960
"""Of 64 kB each: 63 MB."""


@pytest.fixture(autouse=True)
async def as_before(router: RouterUnderTest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    await router.settled()
    yield
    monkeypatch.undo()
    router.delay.clear()
    router.load()
    await router.settled()
    await router.held(0)


def waits() -> float:
    """How many were let wait, or not, so far."""
    return sum(
        sample.value for metric in HOLDS.collect() for sample in metric.samples if sample.name.endswith("_total")
    )


@pytest.mark.parametrize("address", [True, False])
async def test_the_first_request_waits_until_its_cell_is_awake(router: RouterUnderTest, address: bool) -> None:
    """Asleep with or without an address; then awake without one, until it runs."""
    await router.sleep("Idle", http=address)
    waiting = asyncio.create_task(router.get())
    await router.held(1)
    await router.sleep("", http=False)
    await asyncio.sleep(0.1)
    assert router.waiting.cells() == {CELL_A: 1}
    assert (await router.get(tenant="globex")).json()["server"] == "b"  # others do not notice
    await router.sleep("")
    assert (await waiting).json()["server"] == "a"
    assert held.name(CELL_A) not in await configurations(router)


async def configurations(router: RouterUnderTest) -> str:
    assert router.admin is not None
    return (await router.admin.get("/config_dump")).text


async def test_what_arrives_is_what_arrives_from_a_request_that_did_not_wait(router: RouterUnderTest) -> None:
    extra = {
        "headers": [("x-user-id", "root"), ("x-voicehelper-held", "1")],
        "method": "POST",
        "content": b"x" * 200_000,
    }
    direct = received(await router.get(**extra))
    await router.sleep("Idle", http=False)
    waiting = asyncio.create_task(router.get(**extra))
    await router.held(1)
    await router.sleep("")
    waited = received(await waiting)
    assert waited.keys() == direct.keys()
    assert waited["x-user-id"] == ["u1"]
    each = {"authorization", "x-request-id", "traceparent"}
    assert {name: waited[name] for name in waited.keys() - each} == {
        name: direct[name] for name in direct.keys() - each
    }


async def test_a_large_upload_waits_with_its_client(router: RouterUnderTest) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(_PIECES):
            sent += 65536
            yield b"x" * 65536

    await router.sleep("Idle", http=False)
    length = [("content-length", str(_PIECES * 65536))]
    waiting = asyncio.create_task(router.get(method="POST", content=body(), headers=length))
    await router.held(1)
    await asyncio.sleep(0.5)
    assert sent < _PIECES * 65536 / 2  # what fits into the kernel's buffers and 1 MB of Envoy's
    await router.sleep("")
    assert received(await waiting)["content-length"] == [str(_PIECES * 65536)]


async def test_events_wait_too(router: RouterUnderTest) -> None:
    await router.sleep("Idle")
    waiting = asyncio.create_task(router.get("/api/v1/ticks", headers=[("Accept", "text/event-stream")]))
    await router.held(1)
    await router.sleep("")
    assert [line for line in (await waiting).text.splitlines() if line.startswith("data")] == [
        "data: a0", "data: a1", "data: a2",
    ]  # fmt: skip


async def test_a_stream_that_is_open_goes_on_while_its_cell_falls_asleep(router: RouterUnderTest) -> None:
    """Even when the cell's address, and with it its cluster, is gone."""
    headers = {
        "X-Tenant-ID": "acme", "Authorization": f"Bearer {router.issuer.token('acme')}", "Accept": "text/event-stream",
    }  # fmt: skip
    async with (
        httpx.AsyncClient(base_url=router.url, trust_env=False, timeout=15) as client,
        client.stream("GET", "/api/v1/sse", headers=headers) as response,
    ):
        lines = response.aiter_lines()
        seen = []
        async for line in lines:
            if line.startswith("data: "):
                seen.append(line)
                if line == "data: 0":
                    await router.sleep("Idle")
                    use = (await router.ask_xds(f"/cells/{CELL_A}")).json()
                    assert use == {"parked": True, "in_flight": 1, "held": 0}
                    await router.sleep("Idle", http=False)
                router.a.next_event.set()
    assert seen == ["data: 0", "data: 1", "data: 2"]


async def test_a_cell_that_does_not_wake_in_time(router: RouterUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router.waiting, "_seconds", 0.3)
    await router.sleep("Idle", http=False)
    response = await router.get()
    assert "did not wake in time" in problem(response, 503, "unavailable")["detail"]
    assert response.headers["retry-after"] == "2"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as channel:
        metadata = (("x-tenant-id", "acme"), ("authorization", f"Bearer {router.issuer.token('acme')}"))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/x.Y/Echo")(b"", metadata=metadata)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "did not wake in time" in json.loads(raised.value.details() or "")["detail"]


async def test_a_cell_that_was_put_to_sleep_by_hand(router: RouterUnderTest) -> None:
    before = waits()
    await router.sleep("Forced", http=False)
    for path in ("/api/v1/x", "/api/v1/probe"):
        response = await router.get(path)
        assert "by its operators" in problem(response, 503, "asleep")["detail"]
        assert int(response.headers["retry-after"]) >= 2
    router.cache.set_tenant("acme", TenantFacts(name="acme", state="unavailable", cell_id=CELL_A))
    await router.settled()
    problem(await router.get(), 503, "asleep")
    assert waits() == before


async def test_who_waits_is_told_when_the_cell_is_put_to_sleep_by_hand(router: RouterUnderTest) -> None:
    """Or when the tenant is suspended, or removed: whatever the scope says in the end."""
    for change, status in (
        (lambda: router.sleep("Forced"), 503),
        (lambda: put(router, TenantFacts(name="acme", state="suspended")), 403),
        (lambda: put(router, None), 404),
        (lambda: put(router, TenantFacts(name="acme", state="unavailable")), 503),
    ):
        router.load()
        await router.sleep("Idle")
        waiting = asyncio.create_task(router.get())
        await router.held(1)
        await change()
        assert (await waiting).status_code == status


async def put(router: RouterUnderTest, tenant: TenantFacts | None) -> None:
    router.cache.set_tenant("acme", tenant)
    await router.settled()


async def test_a_request_that_waits_for_a_tenant_that_moves_arrives_in_the_other_cell(router: RouterUnderTest) -> None:
    await router.sleep("Idle")
    waiting = asyncio.create_task(router.get())
    await router.held(1)
    await put(router, TenantFacts(name="acme", state="routable", cell_id=CELL_B))
    assert (await waiting).json()["server"] == "b"


async def test_a_request_that_is_refused_wakes_nobody(router: RouterUnderTest) -> None:
    before = waits()
    await router.sleep("Idle")
    assert (await router.get(token=None)).status_code == 401
    assert (await router.get(token=router.issuer.token("globex"))).status_code == 403
    assert (await router.get("/api/v1%2fx")).status_code == 400
    assert waits() == before


async def test_identity_and_probes_do_not_wait(router: RouterUnderTest) -> None:
    before = waits()
    await router.sleep("Idle", http=False)
    for path in ("/api/v1/identity/users", "/api/v1/identity/login", "/.well-known/openid-configuration"):
        assert (await router.get(path)).json()["server"] == "identity"
    assert (await router.get("/healthz")).status_code == 200
    problem(await router.get("/api/v1/probe"), 503, "asleep")
    assert waits() == before


@pytest.mark.parametrize("setting", ["_per_tenant", "_total"])
async def test_only_so_many_wait(router: RouterUnderTest, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(router.waiting, setting, 2)
    await router.sleep("Idle")
    waiting = [asyncio.create_task(router.get()) for _ in range(2)]
    await router.held(2)
    response = await router.get()
    assert "too many requests" in problem(response, 503, "unavailable")["detail"]
    assert response.headers["retry-after"] == "2"
    await router.sleep("")
    assert [(await each).status_code for each in waiting] == [200, 200]


async def test_a_crowd_does_not_open_the_breaker_of_a_cell_that_just_woke(
    router: RouterUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than may wait for a connection at once."""
    number = MAX_PENDING + 300
    monkeypatch.setattr(router.waiting, "_per_tenant", number)
    monkeypatch.setattr(router.waiting, "_total", number)
    monkeypatch.setattr(router.waiting, "_seconds", 60)
    headers = [("x-tenant-id", "acme"), ("authorization", f"Bearer {router.issuer.token('acme')}")]
    await router.sleep("Idle", http=False)
    waiting = [asyncio.create_task(router.raw("/api/v1/x", headers, seconds=60)) for _ in range(number)]
    async with asyncio.timeout(40):
        while router.waiting.cells().get(CELL_A, 0) < number:
            await asyncio.sleep(0.05)
    await router.sleep("")
    assert {status for status, _ in await asyncio.gather(*waiting)} == {200}


async def test_a_cell_that_falls_asleep_between_the_word_to_go_on_and_envoys_look(
    router: RouterUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request waited already and cannot wait again: it goes to the cell, which was awake when it was let go."""
    wait = router.waiting.wait

    async def and_asleep_again(node: str, tenant: str) -> Outcome:
        outcome = await wait(node, tenant)
        await router.sleep("Idle")
        return outcome

    monkeypatch.setattr(router.waiting, "wait", and_asleep_again)
    await router.sleep("Idle")
    waiting = asyncio.create_task(router.get(method="POST"))
    await router.held(1)
    await router.sleep("")
    assert (await waiting).json()["server"] == "a"


async def test_a_client_that_goes_away_waits_no_longer(router: RouterUnderTest) -> None:
    await router.sleep("Idle")
    token = router.issuer.token("acme")
    head = f"POST /api/v1/x HTTP/1.1\r\nhost: router\r\nx-tenant-id: acme\r\nauthorization: Bearer {token}\r\n"
    for body in (b"content-length: 0\r\n\r\n", b"content-length: 100\r\n\r\nhalf"):
        _, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(head.encode() + body)
        await router.held(1)
        writer.close()
        async with asyncio.timeout(1):
            await router.held(0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as channel:
        metadata = (("x-tenant-id", "acme"), ("authorization", f"Bearer {token}"))
        call = channel.unary_unary("/x.Y/Echo")(b"", metadata=metadata)
        await router.held(1)
        call.cancel()
        async with asyncio.timeout(1):
            await router.held(0)
    await router.sleep("")
    assert router.a.paths["/x.Y/Echo"] == 0


async def activity(router: RouterUnderTest) -> dict[str, Any]:
    found: dict[str, Any] = (await router.ask_xds("/cells/activity")).json()
    return found


async def test_what_the_operator_sees(router: RouterUnderTest) -> None:
    before = await activity(router)
    await router.get()
    await router.get("/api/v1/probe")
    after = await activity(router)
    assert after["cells"][CELL_A]["requests"] == before["cells"][CELL_A]["requests"] + 1  # the probe is none
    assert after["cells"][CELL_A]["active"] == 0
    assert (after["cells"][CELL_B], after["epoch"]) == (before["cells"][CELL_B], before["epoch"])
    assert not (await router.ask_xds(f"/cells/{CELL_A}")).json()["parked"]

    version = (await router.ask_xds("/cells/held")).json()["version"]
    await router.sleep("Idle")
    news = asyncio.create_task(router.ask_xds(f"/cells/held?wait=20&known={version}"))
    await asyncio.sleep(0.1)
    assert not news.done()
    waiting = [asyncio.create_task(router.get()) for _ in range(3)]
    async with asyncio.timeout(5):
        assert (await news).json()["held"]
    await router.held(3)
    during = await activity(router)
    assert during["held"] == {CELL_A: 3}
    assert during["cells"][CELL_A]["active"] == 3
    await router.sleep("")
    await asyncio.gather(*waiting)
    later = await activity(router)
    assert later["cells"][CELL_A] == {"requests": after["cells"][CELL_A]["requests"] + 3, "active": 0}
    assert not later["held"]
    assert (await router.ask_xds("/cells/gone")).status_code == 404


async def test_a_probe_on_its_way_is_no_activity_and_a_request_is(router: RouterUnderTest) -> None:
    router.a.pause = 0.5
    try:
        for path, active in (("/api/v1/probe", 0), ("/api/v1/x", 1)):
            asking = asyncio.create_task(router.get(path))
            await asyncio.sleep(0.2)
            assert (await activity(router))["cells"][CELL_A]["active"] == active
            assert (await asking).status_code == 200
    finally:
        router.a.pause = 0.0
