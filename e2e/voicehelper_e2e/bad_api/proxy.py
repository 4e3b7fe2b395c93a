"""A proxy before the API server that spoils answers. Plain HTTP on loopback; it is the administrator upstream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from voicehelper_e2e.bad_api.schedule import Fault, Schedule
from voicehelper_e2e.cluster.alone import ApiServer

_HANG_SECONDS = 20.0
_GONE = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": "old"}
_REFUSED: dict[str, tuple[int, dict[str, str]]] = {
    "too-many": (429, {"Retry-After": "1"}), "internal": (500, {}), "unavailable": (503, {})
}  # fmt: skip
_DROPPED = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}


@dataclass(frozen=True, slots=True)
class Write:
    """One that reached the API server."""

    at: float
    """By the clock ``time.monotonic``."""
    method: str
    path: str
    status: int
    """What the API server answered; 0 where it did not."""

    @property
    def told(self) -> bool:
        """Whether it is about our resources and their secrets: not the lease, not an event."""
        return "/leases" not in self.path and "/events" not in self.path


class BadApi:
    """Use ``bad_api``. ``writes`` are all that reached the API server."""

    def __init__(self, server: ApiServer, schedule: Schedule, folder: Path) -> None:
        self.schedule, self.writes = schedule, list[Write]()
        self.kubeconfig = folder / "bad.kubeconfig"
        found = re.search(r"server: '?(https://[^',}]+)", server.kubeconfig.read_text())
        assert found
        self._upstream = found[1]
        self._tls = ssl.create_default_context(cafile=str(server.pki / "ca.crt"))
        self._tls.load_cert_chain(server.pki / "admin.crt", server.pki / "admin.key")

    def calm(self) -> None:
        """Nothing is spoilt from now on."""
        self.schedule.share = 0.0

    def told(self, since: float = 0.0) -> list[Write]:
        """Writes about our resources that the API server took since then."""
        return [item for item in self.writes if item.told and item.at >= since and item.status < 300]

    async def serve(self, session: aiohttp.ClientSession) -> web.ServerRunner:
        """Until the runner is cleaned up."""
        self._session = session
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: bad\n"
            f"clusters: [{{name: bad, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n"
            "users: [{name: bad, user: {token: unused}}]\ncontexts: [{name: bad, context: {cluster: bad, user: bad}}]\n"
        )
        return runner

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        watch = request.query.get("watch") == "true"
        body = await request.read()
        fault = self.schedule.draw(watch=watch)
        if fault in _REFUSED:
            status, headers = _REFUSED[fault]
            message = {"kind": "Status", "status": "Failure", "code": status, "message": f"made up: {fault}"}
            return web.json_response(message, status=status, headers=headers)
        if fault == "not-json":
            return web.Response(status=200, text="<html>a proxy that has lost its way</html>", content_type="text/html")
        if fault == "hang":
            await asyncio.sleep(_HANG_SECONDS)
        if fault in ("hang", "cut-before"):
            return _cut(request)
        return await (self._watch(request, fault) if watch else self._plain(request, body, fault))

    async def _plain(self, request: web.BaseRequest, body: bytes, fault: Fault | None) -> web.StreamResponse:
        at, status = time.monotonic(), 0
        try:
            async with self._asked(request, body) as answer:
                content, status = await answer.read(), answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return _cut(request)
        finally:
            if request.method != "GET":
                self.writes.append(Write(at, request.method, request.path, status))
        if fault == "cut-after":
            return _cut(request)
        return web.Response(status=status, body=content, headers={"Content-Type": answer.content_type})

    async def _watch(self, request: web.BaseRequest, fault: Fault | None) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        left = self.schedule.lines() if fault else -1
        try:
            async with self._asked(request, b"") as answer:
                if answer.status != 200:
                    return web.Response(status=answer.status, body=await answer.read())
                await response.prepare(request)
                async for line in answer.content:
                    if left == 0 and fault:
                        return await _end(request, response, line, fault)
                    left -= 1
                    await response.write(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ConnectionError):
            return _cut(request)
        await response.write_eof()
        return response

    def _asked(
        self, request: web.BaseRequest, body: bytes
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _DROPPED}
        headers.pop("Authorization", None)
        url = f"{self._upstream}{request.raw_path}"
        return self._session.request(request.method, url, data=body or None, headers=headers, ssl=self._tls)


async def _end(
    request: web.BaseRequest, response: web.StreamResponse, line: bytes, fault: Fault | None
) -> web.StreamResponse:
    if fault == "gone":
        await response.write(json.dumps({"type": "ERROR", "object": _GONE}).encode() + b"\n")
    elif fault in ("in-line", "in-line-politely"):
        await response.write(line[: len(line) // 2])
        await asyncio.sleep(0.02)
    if fault == "in-line":
        return _cut(request, response)
    await response.write_eof()
    return response


def _cut(request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """The connection is gone; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return response if response is not None else web.Response(status=502)


@asynccontextmanager
async def bad_api(server: ApiServer, schedule: Schedule, folder: Path) -> AsyncIterator[BadApi]:
    """Before the API server, until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    bad = BadApi(server, schedule, folder)
    connector = aiohttp.TCPConnector(limit=0)  # watches of operators that were killed go on for minutes
    async with aiohttp.ClientSession(
        auto_decompress=True, read_bufsize=2**22, timeout=aiohttp.ClientTimeout(total=300), connector=connector
    ) as session:
        runner = await bad.serve(session)
        try:
            yield bad
        finally:
            await runner.cleanup()
            await asyncio.sleep(0.1)  # aiohttp does not wait until the transports of TLS are closed
