"""Every answer that is not a success is a problem document, whatever went wrong."""

from __future__ import annotations

import asyncpg
import grpc
import httpx
import pytest
from pydantic import BaseModel, Field
from voicehelper_core import errors
from voicehelper_core.http import create_app


class Body(BaseModel, extra="forbid"):
    title: str = Field(max_length=5)


RAISES = {
    "quota": errors.QuotaExceeded("too many", limit=3),
    "conflict": errors.Conflict("exists"),
    "bug": RuntimeError("postgresql://user:hunter2@host"),
    "grpc": grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), grpc.aio.Metadata(), "no such thing"),
    "grpc-unknown": grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, grpc.aio.Metadata(), grpc.aio.Metadata(), "hunter2"),
    "nul": asyncpg.CharacterNotInRepertoireError("invalid byte sequence"),
    "away": ConnectionRefusedError("127.0.0.1"),
    "closed": asyncpg.InterfaceError("connection is closed"),
}


@pytest.fixture
def app():
    app = create_app("tester", version="1")

    @app.get("/items")
    async def items() -> list[str]:
        return []

    @app.post("/items")
    async def make(body: Body) -> Body:
        body.title.encode()
        return body

    @app.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise RAISES[name]

    return app


@pytest.fixture
async def client(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    body = response.json()
    assert body["status"] == status
    assert body["type"] == f"https://voicehelper.io/problems/{code}"
    assert body["title"]
    assert "hunter2" not in response.text
    return body


async def test_success_has_a_request_id(client):
    response = await client.post("/items", json={"title": "a"}, headers={"x-request-id": "r-1"})
    assert response.json() == {"title": "a"}
    assert response.headers["x-request-id"] == "r-1"
    strange = await client.post("/items", json={"title": "a"}, headers={"x-request-id": b"\xff\xfe bad"})
    assert strange.headers["x-request-id"].isalnum()


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b"\xff\xfe", None),
        (b'{"title": "\xff"}', None),
        (b"{", "body.1"),
        (b"", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'{"title": 5}', "body.title"),
        (b'{"title": "toolong"}', "body.title"),
        (b'{"title": "a", "zzz": 1}', "body.zzz"),
        (b'{"title": "a", "\\ud800": 1}', None),
        (b'{"title": "\\ud800"}', None),
        (b'{"title": NaN}', "body.title"),
        (b"[" * 100_000, None),
    ],
)
async def test_bad_bodies_are_the_callers_mistake(client, content, path):
    response = await client.post("/items", content=content, headers={"content-type": "application/json"})
    body = problem(response, 400, "invalid-argument")
    if path:
        assert body["errors"][0]["path"] == path
        assert body["errors"][0]["reason"]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("quota", 429, "quota-exceeded"),
        ("conflict", 409, "conflict"),
        ("bug", 500, "internal"),
        ("grpc", 404, "not-found"),
        ("grpc-unknown", 500, "internal"),
        ("nul", 400, "invalid-argument"),
        ("away", 503, "unavailable"),
        ("closed", 503, "unavailable"),
    ],
)
async def test_what_handlers_raise(client, name, status, code):
    traceparent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    response = await client.get(f"/raise/{name}", headers={"traceparent": traceparent})
    body = problem(response, status, code)
    assert body["instance"] == f"/raise/{name}"
    assert ("retry-after" in response.headers) == (status in (429, 503))
    if name == "quota":
        assert body["limit"] == 3
    if status != 500:
        assert body["trace_id"] == "a" * 32


async def test_paths_and_methods(client):
    problem(await client.get("/nowhere"), 404, "not-found")
    problem(await client.get("/%ff%fe"), 404, "not-found")
    response = await client.delete("/items")
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "GET, POST"


async def test_health(client, app):
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).text == "ready\n"
    assert "http_requests_total" in (await client.get("/metrics")).text

    async def not_yet():
        return "no keys yet"

    app.state.ready = not_yet
    assert problem(await client.get("/readyz"), 503, "unavailable")["detail"] == "no keys yet"


@pytest.mark.parametrize("kind", errors.AppError.__subclasses__(), ids=lambda kind: kind.code)
def test_codes_survive_grpc(kind):
    ours = grpc.aio.Metadata.from_tuple(errors.OURS)
    raised = grpc.aio.AioRpcError(kind.grpc_code, grpc.aio.Metadata(), ours, "why")
    known = errors.from_grpc(raised)
    assert (type(known), known.detail, known.status) == (kind, "why", kind.status)


def test_what_grpc_says_of_sockets_is_not_shown():
    socket = "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.1.2.3:9090: Connection refused"
    raised = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), socket)
    known = errors.from_grpc(raised)
    assert isinstance(known, errors.Unavailable)
    assert "10.1.2.3" not in known.detail


def test_other_codes_say_nothing():
    raised = grpc.aio.AioRpcError(grpc.StatusCode.DATA_LOSS, grpc.aio.Metadata(), grpc.aio.Metadata(), "hunter2")
    assert errors.from_grpc(raised).status == 500
    assert "hunter2" not in errors.from_grpc(raised).detail
