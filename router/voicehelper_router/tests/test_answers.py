"""What people and programs see: answers of the router itself, streams, traces, public paths."""

from __future__ import annotations

import asyncio
import json
import re
import uuid

import httpx
import pytest
from voicehelper_router.tests.harness import RouterUnderTest, problem, received
from voicehelper_router.xds import routes

pytestmark = pytest.mark.integration


async def test_tenant_that_is_gone(router: RouterUnderTest) -> None:
    body = problem(await router.get(tenant="gone"), 404, "not-found")
    assert "no such tenant" in body["detail"]
    assert body["instance"] == "/api/v1/x"


async def test_query_is_not_repeated(router: RouterUnderTest) -> None:
    assert "secret" not in (await router.get("/api/v1/x?code=secret", tenant="gone")).text


async def test_suspended_tenant(router: RouterUnderTest) -> None:
    body = problem(await router.get(tenant="asleep"), 403, "permission-denied")
    assert "suspended" in body["detail"]


async def test_tenant_that_is_not_routable(router: RouterUnderTest) -> None:
    response = await router.get(tenant="coming")
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "2"


async def test_cell_that_is_down(router: RouterUnderTest) -> None:
    await router.b.stop()
    try:
        response = await router.get(tenant="globex")
        body = problem(response, 503, "unavailable")
        assert "127.0.0.1" not in body["detail"]
        assert response.headers["retry-after"] == "2"
    finally:
        await router.b.start()


@pytest.mark.parametrize(("method", "status", "asked"), [("GET", 200, 2), ("POST", 503, 1)])
async def test_a_process_that_leaves_closes_the_connection(
    router: RouterUnderTest, method: str, status: int, asked: int
) -> None:
    """It may have got the request: a read is asked again, a write is not."""
    await router.get()  # so that a connection is kept open
    before, router.a.hangs_up = router.a.requests, 1
    try:
        response = await router.get(method=method)
    finally:
        router.a.hangs_up = 0
    assert (response.status_code, router.a.requests - before) == (status, asked)


async def test_cell_that_hangs(router: RouterUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what may take long is waited for longer: an upload, a whole answer of the model."""
    monkeypatch.setattr(routes, "REQUEST_TIMEOUT", "0.3s")
    monkeypatch.setattr(routes, "EVENTS_IDLE_TIMEOUT", "0.3s")
    router.load()
    await router.settled()
    router.a.pause = 1.0
    post = {"method": "POST"}
    messages = "/api/v1/conversations/1/messages"
    try:
        for path, more in (
            ("/api/v1/x", {}), ("/api/v1/x", post), (messages, {}), ("/api/v1/messages", post),
            ("/api/v1/knowledge/documents", {}), ("/api/v1/knowledge/documents/1", post),
            (messages, {**post, "headers": [("Accept", "text/event-stream")]}),
        ):  # fmt: skip
            body = problem(await router.get(path, **more), 504, "deadline-exceeded")
            assert "127.0.0.1" not in body["detail"]
        for path in ("/api/v1/knowledge/documents", messages):
            assert (await router.get(path, **post)).json()["server"] == "a"
    finally:
        router.a.pause = 0.0
        monkeypatch.undo()
        router.load()
        await router.settled()


async def test_request_without_tenant(router: RouterUnderTest) -> None:
    body = problem(await router.get("/api/v1/conversations", tenant=None), 404, "not-found")
    assert "X-Tenant-ID" in body["detail"]
    problem(await router.get("/api/v1/conversations", tenant=None, token=None), 401, "unauthenticated")


@pytest.mark.parametrize("tenant", [None, "acme", "asleep", "coming", "_public"])
async def test_open_paths_in_every_scope(router: RouterUnderTest, tenant: str | None) -> None:
    for path in ("/api/v1/identity/login", "/api/v1/identity/refresh", "/.well-known/openid-configuration"):
        response = await router.get(path, tenant=tenant, token=None)
        assert (response.json()["server"], response.json()["path"]) == ("identity", path)
    assert (await router.get("/healthz", tenant=tenant, token=None)).text == "ok\n"


@pytest.mark.parametrize("tenant", [None, "acme", "asleep", "coming"])
async def test_identity_in_every_scope(router: RouterUnderTest, tenant: str | None) -> None:
    assert (await router.get("/api/v1/identity/users", tenant=tenant)).json()["server"] == "identity"


async def test_auth_is_an_alias(router: RouterUnderTest) -> None:
    response = await router.get("/api/v1/auth/login?x=1", token=None, method="POST", json={})
    assert response.json()["path"] == "/api/v1/identity/login?x=1"


@pytest.mark.parametrize("tenant", ["acme", "gone", "asleep", "no such/name", ""])
async def test_open_paths_do_not_tell_which_tenants_there_are(router: RouterUnderTest, tenant: str) -> None:
    for path in ("/api/v1/identity/login", "/api/v1/auth/refresh?x=1", "/.well-known/openid-configuration"):
        response = await router.get(path, tenant=tenant, token=None, method="POST")
        assert response.json()["server"] == "identity"
        assert received(response)["x-tenant-id"] == ["_public"]
    assert (await router.get("/healthz", tenant=tenant, token=None)).status_code == 200


async def test_malformed_request_is_a_problem(router: RouterUnderTest) -> None:
    problem(await router.get("/api/v1%2fx"), 400, "invalid-argument")


async def test_trace_and_request_id_are_made_and_passed_on(router: RouterUnderTest) -> None:
    first, second = received(await router.get()), received(await router.get())
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", first["traceparent"][0])
    assert first["traceparent"] != second["traceparent"]
    assert all(uuid.UUID(each["x-request-id"][0]).version == 4 for each in (first, second))
    assert first["x-request-id"] != second["x-request-id"]


async def test_trace_and_request_id_of_the_client_are_kept(router: RouterUnderTest) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await router.get(headers=[("traceparent", f"00-{trace}-00f067aa0ba902b7-01"), ("x-request-id", "mine")])
    assert received(response)["traceparent"][0].split("-")[1] == trace
    assert received(response)["x-request-id"] == ["mine"]
    assert response.headers["x-request-id"] == "mine"


async def test_router_does_not_show_its_inside(router: RouterUnderTest) -> None:
    response = await router.get()
    assert response.headers["server"] == "voicehelper"
    assert not [name for name in response.headers if name.startswith("x-envoy")]


async def test_events_arrive_one_by_one(router: RouterUnderTest) -> None:
    headers = {
        "X-Tenant-ID": "acme", "Authorization": f"Bearer {router.issuer.token('acme')}", "Accept": "text/event-stream",
    }  # fmt: skip
    async with (
        httpx.AsyncClient(base_url=router.url, trust_env=False, timeout=15) as client,
        client.stream("GET", "/api/v1/sse", headers=headers) as response,
    ):
        seen = []
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                seen.append(line)
                router.a.next_event.set()  # the server sends the next one only now that this one is here
    assert seen == ["data: 0", "data: 1", "data: 2"]


async def test_access_log_has_the_request_and_not_its_query(router: RouterUnderTest) -> None:
    await router.get("/api/v1/logged?password=hidden")
    async with asyncio.timeout(15):
        while '"path":"/api/v1/logged"' not in router.log.read_text():
            await asyncio.sleep(0.1)
    text = router.log.read_text()
    line = json.loads(next(line for line in text.splitlines() if '"/api/v1/logged"' in line))
    assert (line["tenant"], line["user_id"], line["status"], line["cluster"]) == (
        "acme",
        "u1",
        200,
        "aaaaaaaaaaaa-http",
    )
    assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])
    assert "hidden" not in text


async def test_pipelined_requests_are_all_answered_in_order(router: RouterUnderTest) -> None:
    """Those that go to a cell. Of its own answers Envoy writes two at a time and then closes (flood protection)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    token = router.issuer.token("acme")
    for number in range(50):
        head = f"GET /api/v1/{number} HTTP/1.1\r\nhost: router\r\nx-tenant-id: acme\r\nauthorization: Bearer {token}"
        writer.write(f"{head}\r\n\r\n".encode())
    try:
        async with asyncio.timeout(30):
            for number in range(50):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
                assert head.startswith("http/1.1 200")
                assert json.loads(body)["path"] == f"/api/v1/{number}"
    finally:
        writer.close()
