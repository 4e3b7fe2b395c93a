"""A whole router on free loopback ports: real Envoy, the control plane in this process, small servers behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from joserfc import jwk, jwt
from voicehelper_core.http import serve_http
from voicehelper_router import envoy, web
from voicehelper_router.bootstrap import render
from voicehelper_router.hold import activity
from voicehelper_router.hold import http as cells
from voicehelper_router.hold.servicer import HoldServicer
from voicehelper_router.hold.waiting import Waiting
from voicehelper_router.jwks import KeyCopy
from voicehelper_router.settings import BootstrapSettings
from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.delta import DeltaServicer
from voicehelper_router.xds.facts import CellFacts, TenantFacts
from voicehelper_router.xds.server import create_server
from voicehelper_router.xds.stream import Response

CELL_A, CELL_B = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Upstream:
    """Answers every request with what arrived; ``/sse`` answers event by event, as it is let."""

    def __init__(self, name: str) -> None:
        self.name, self.port = name, free_port()
        self.answers: dict[str, Any] = {}
        self.next_event = asyncio.Event()
        self.requests = 0
        self.paths: Counter[str] = Counter()
        self.status = 200
        self.pause = 0.0
        """Seconds until it answers."""
        self.hangs_up = 0
        """On how many requests it closes the connection instead of answering."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=2048)  # as a cell

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            for writer in [*self._writers]:
                writer.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers = [(name, value) for name, colon, value in (line.partition(": ") for line in head[1:]) if colon]
                length = int(dict(headers).get("content-length", 0))
                await reader.readexactly(length)
                self.requests += 1
                self.paths[path] += 1
                await asyncio.sleep(self.pause)
                if self.hangs_up:
                    self.hangs_up -= 1
                    break
                if path.endswith("/sse"):
                    await self._stream(writer)
                    break
                if path.endswith("/ticks"):
                    await self._ticks(writer)
                    break
                answer = self.answers.get(path) or {
                    "server": self.name, "method": method, "path": path, "headers": headers,
                }  # fmt: skip
                body = json.dumps(answer).encode()
                start = f"HTTP/1.1 {self.status} OK\r\ncontent-type: application/json\r\n"
                writer.write(f"{start}content-length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    async def _ticks(self, writer: asyncio.StreamWriter) -> None:
        """Events that need no word from the test."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for number in range(3):
            writer.write(f"id: {number}\ndata: {self.name}{number}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(0.02)

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for number in range(3):
            writer.write(f"id: {number}\ndata: {number}\n\n".encode())
            await writer.drain()
            await self.next_event.wait()
            self.next_event.clear()


class Issuer:
    """Signs tokens as identity does, and as it does not."""

    def __init__(self) -> None:
        self.ed = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed", "alg": "EdDSA", "use": "sig"})
        self.rsa = jwk.RSAKey.generate_key(2048, {"kid": "rs", "alg": "RS256", "use": "sig"})

    def key_set(self) -> dict[str, Any]:
        return {"keys": [self.ed.as_dict(private=False), self.rsa.as_dict(private=False)]}

    def token(self, tenant: str | None, *, key: Any = None, alg: str = "EdDSA", kid: str = "ed", **claims: Any) -> str:
        now = int(time.time())
        payload: dict[str, Any] = {
            "iss": "voicehelper", "aud": "voicehelper-api", "sub": "u1", "tenant": tenant, "tid": "tttttttttttt",
            "iat": now, "exp": now + 600, "jti": os.urandom(8).hex(),
        }  # fmt: skip
        payload.update(claims)
        payload = {name: value for name, value in payload.items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joserfc would rather see RFC 9864's names
            return jwt.encode({"alg": alg, "kid": kid}, payload, key or self.ed, algorithms=[alg])


@dataclass
class RouterUnderTest:
    folder: Path
    issuer: Issuer = field(default_factory=Issuer)
    cache: Cache = field(default_factory=Cache)
    sent: list[Response] = field(default_factory=list)
    delay: dict[str, float] = field(default_factory=dict)
    """Seconds by which responses of a type are held back."""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.a, self.b, self.identity = Upstream("a"), Upstream("b"), Upstream("identity")
        self.port, self.xds_port, self.jwks_port = (free_port() for _ in range(3))
        self.admin_socket = self.folder / "admin.sock"
        self.log = self.folder / "envoy.log"
        self.keys = KeyCopy(f"http://127.0.0.1:{self.identity.port}/.well-known/jwks.json", self.folder / "jwks.json")
        self.servicer = DeltaServicer(self.cache, self._before_send)
        self.waiting = Waiting(self.cache, self.servicer, seconds=10, per_tenant=200, total=1000)
        self.admin = activity.client(self.admin_socket, "envoy", 0)
        self._envoy: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cell(self, cell_id: str, upstream: Upstream) -> CellFacts:
        return CellFacts(cell_id=cell_id, http=f"127.0.0.1:{upstream.port}")

    async def sleep(self, hibernation: Literal["", "Idle", "Forced"], *, http: bool = True, cell: str = CELL_A) -> None:
        """The cell falls asleep or wakes, with an address or without, and Envoy has heard of it."""
        facts = self.cell(cell, self.a if cell == CELL_A else self.b)
        self.cache.set_cell(
            cell, facts.model_copy(update={"hibernation": hibernation} | ({} if http else {"http": None}))
        )
        await self.settled()

    async def held(self, number: int, cell: str = CELL_A) -> None:
        """Until so many requests wait for the cell."""
        async with asyncio.timeout(10):
            while self.waiting.cells().get(cell, 0) != number:
                await asyncio.sleep(0.005)

    async def ask_xds(self, path: str) -> httpx.Response:
        """The HTTP side of the control plane."""
        async with httpx.AsyncClient(trust_env=False, timeout=40) as client:
            return await client.get(f"http://127.0.0.1:{self.jwks_port}{path}")

    def load(self) -> None:
        self.cache.load(
            [
                TenantFacts(name="acme", state="routable", cell_id=CELL_A),
                TenantFacts(name="globex", state="routable", cell_id=CELL_B),
                TenantFacts(name="asleep", state="suspended"),
                TenantFacts(name="coming", state="unavailable"),
            ],
            [self.cell(CELL_A, self.a), self.cell(CELL_B, self.b)],
        )

    async def start(self) -> None:
        self.identity.answers["/.well-known/jwks.json"] = self.issuer.key_set()
        for upstream in (self.a, self.b, self.identity):
            await upstream.start()
        self.load()
        await self.start_xds()
        use = cells.create(self.cache, self.waiting, activity.Activity(self.admin, 0))
        http = serve_http(web.create("test", self.cache, self.keys, use), "127.0.0.1", self.jwks_port)
        self._http = http
        self._tasks = [
            asyncio.create_task(http.serve()),
            asyncio.create_task(self.keys.run(0.2)),
            asyncio.create_task(self.waiting.run()),
        ]
        while self.keys.document is None:
            await asyncio.sleep(0.02)
        await self.start_envoy()

    async def start_xds(self) -> None:
        self.server, _ = create_server(self.servicer, HoldServicer(self.waiting), "127.0.0.1", self.xds_port)
        await self.server.start()

    async def _before_send(self, response: Response) -> None:
        self.sent.append(response)
        await asyncio.sleep(self.delay.get(response.type_url, 0))

    async def start_envoy(self) -> None:
        settings = BootstrapSettings(
            listen_port=self.port, admin_socket=self.admin_socket, xds_port=self.xds_port, jwks_port=self.jwks_port,
            identity_port=self.identity.port, jwks_cache_seconds=1,
        )  # fmt: skip
        bootstrap = self.folder / "envoy.json"
        bootstrap.write_text(json.dumps(render(settings)))
        with self.log.open("ab") as log:
            self._envoy = await asyncio.create_subprocess_exec(
                *envoy.command(bootstrap, base_id=self.port), stdout=log, stderr=log
            )
        await self.until_listening()

    async def until_listening(self) -> None:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                assert self._envoy and self._envoy.returncode is None, self.log.read_text()[-3000:]
                await asyncio.sleep(0.05)

    async def stop_envoy(self) -> None:
        if self._envoy and self._envoy.returncode is None:
            self._envoy.kill()
            await self._envoy.wait()

    async def settled(self) -> None:
        """Until every connected Envoy has the cache's snapshot."""
        async with asyncio.timeout(20):
            while not self.servicer.streams or not all(
                stream.has(self.cache.snapshot) for stream in self.servicer.streams
            ):
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self.stop_envoy()
        if self._tasks:
            self._http.should_exit = True
            for task in self._tasks[1:]:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.stop(0)
        if self.admin:
            await self.admin.aclose()
        for upstream in (self.a, self.b, self.identity):
            await upstream.stop()

    async def get(
        self, path: str = "/api/v1/x", *, tenant: str | None = "acme", token: str | None = "", **more: Any
    ) -> httpx.Response:
        """A request of ``tenant`` with its own token (None: without one)."""
        headers = [*more.pop("headers", [])]
        if tenant is not None:
            headers.append(("X-Tenant-ID", tenant))
        if token is not None:
            headers.append(("Authorization", f"Bearer {token or self.issuer.token(tenant or '_public')}"))
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=15) as client:
            return await client.request(more.pop("method", "GET"), path, headers=headers, **more)

    async def raw(
        self, target: str, headers: list[tuple[str, str]], method: str = "GET", seconds: float = 15
    ) -> tuple[int, bytes]:
        """Byte for byte what is given: no client library tidies it up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {target} HTTP/1.1", "host: router", "connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await writer.drain()
        try:
            async with asyncio.timeout(seconds):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = re.search(r"content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else await reader.read()
        finally:
            writer.close()
        return int(head.split(" ", 2)[1]), body


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[RouterUnderTest]:
    router = RouterUnderTest(folder)
    try:
        await router.start()
        yield router
    finally:
        await router.stop()


def received(response: httpx.Response) -> dict[str, list[str]]:
    """Headers that the server behind the router saw."""
    seen: dict[str, list[str]] = {}
    for name, value in response.json()["headers"]:
        seen.setdefault(name, []).append(value)
    return seen


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"].endswith(f"/{code}")
    assert body["detail"] and body["title"]
    assert body["request_id"] == response.headers.get("x-request-id")
    return body
