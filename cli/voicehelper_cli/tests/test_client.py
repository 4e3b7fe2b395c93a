"""The HTTP client: tokens, retries, refusals and pages."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from voicehelper_cli import client as module
from voicehelper_cli.client import ApiError
from voicehelper_cli.failures import Failure, NotRunning


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", (0.0, 0.0))


def busy(status: int) -> httpx.Response:
    return httpx.Response(status, json={"detail": "later", "status": status}, headers={"Retry-After": "0"})


async def test_one_login_serves_many_requests_and_names_the_tenant(router: Any) -> None:
    router.answers["GET /x"] = lambda _: httpx.Response(200, json={})
    async with router.client() as client:
        for _ in range(3):
            await client.request("GET", "/x")
    assert router.logins == 1
    request = router.requests[-1]
    assert request.headers["x-tenant-id"] == "acme"
    assert request.headers["authorization"] == "Bearer token-1"
    assert "x-tenant-id" not in router.requests[0].headers


async def test_a_token_is_renewed_before_it_ends_and_after_a_401(router: Any) -> None:
    router.expires_in = 1
    router.answers["GET /x"] = lambda _: httpx.Response(200, json={})
    async with router.client() as client:
        await client.request("GET", "/x")
        await client.request("GET", "/x")
        assert router.logins == 2
        router.expires_in = 900
        await client.token()
        router.script["GET /x"] = [httpx.Response(401, json={"detail": "expired"})]
        await client.request("GET", "/x")
        assert router.logins == 4


async def test_busy_answers_are_repeated_for_a_while(router: Any) -> None:
    router.answers["GET /x"] = lambda _: httpx.Response(200, json={"ok": True})
    router.script["GET /x"] = [busy(429), busy(503)]
    async with router.client() as client:
        assert await client.request("GET", "/x") == {"ok": True}
        router.script["GET /x"] = [busy(503) for _ in range(9)]
        with pytest.raises(ApiError, match=r"later \(HTTP 503\)"):
            await client.request("GET", "/x")


async def test_a_refusal_shows_detail_and_fields(router: Any) -> None:
    body = {"detail": "the request is wrong", "errors": [{"path": "body.top_k", "reason": "must be positive"}]}
    router.answers["GET /x"] = lambda _: httpx.Response(400, json=body)
    async with router.client() as client:
        with pytest.raises(ApiError, match=r"the request is wrong; body\.top_k: must be positive"):
            await client.request("GET", "/x")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b'{"errors": [3]}'])
async def test_strange_refusals_are_still_one_sentence(router: Any, content: bytes) -> None:
    router.answers["GET /x"] = lambda _: httpx.Response(502, content=content)
    async with router.client() as client:
        with pytest.raises(ApiError, match=r"HTTP 502"):
            await client.request("GET", "/x")


async def test_a_router_that_is_not_there_means_not_running(router: Any) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    router.answers["GET /x"] = refuse
    async with router.client() as client:
        with pytest.raises(NotRunning):
            await client.request("GET", "/x")


async def test_a_request_without_an_answer_is_a_failure(router: Any) -> None:
    def hang(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    router.answers["GET /x"] = hang
    async with router.client() as client:
        with pytest.raises(Failure, match="no answer"):
            await client.request("GET", "/x")


async def test_pages_follow_the_cursor(router: Any) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        cursor = int(request.url.params.get("cursor", 0))
        assert request.url.params["limit"] == "2"
        items = [{"id": cursor}, {"id": cursor + 1}]
        return httpx.Response(200, json={"items": items, "next_cursor": str(cursor + 2) if cursor < 4 else None})

    router.answers["GET /x"] = page
    async with router.client() as client:
        assert [item["id"] async for item in client.pages("/x", {"limit": 2})] == list(range(6))
