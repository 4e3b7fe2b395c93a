"""The client knows itself and its API server, and what answers like none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import aclosing

import pytest
from kubernetes.aio import client
from voicehelper_core import errors, kubernetes_api
from voicehelper_core.kubernetes_api.follow import Selection, follow
from voicehelper_core.kubernetes_api.kinds import OURS

pytestmark = pytest.mark.integration


async def test_who_we_are_and_where_the_api_server_is(api, api_server):
    assert await api.whoami() == "admin"
    where = await api.endpoint()
    assert where.server in api_server.kubeconfig.read_text()
    assert where.ca and where.certificate and where.key and where.authorization is None


class Server:
    """Answers watches and lists of tenants as it is told."""

    def __init__(self):
        self.asked, self.watches = [], []
        self.body = b'{"items": [], "metadata": {"resourceVersion": "1"}}'

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        settings = client.Configuration()
        settings.host, settings.client_session_kwargs = f"http://127.0.0.1:{port}", {"trust_env": False}
        self.api = kubernetes_api.Api(client.ApiClient(settings))
        return self

    async def __aexit__(self, *_):
        await self.api.close()
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            watch = "watch=true" in path
            self.asked.append("watch" if watch else "list")
            body = self.body
            if watch:
                body = self.watches.pop(0) if self.watches else b""
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" + body)
            await writer.drain()
        writer.close()


def _event(name, type_="ADDED"):
    meta = {"name": name, "uid": name, "resourceVersion": "2"}
    return json.dumps({"type": type_, "object": {"metadata": meta}}).encode() + b"\n"


GONE = json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode() + b"\n"


@pytest.mark.parametrize("first", [_event("half")[:40], b"<html>lost</html>\n", b"\n", b"", GONE])
async def test_a_watch_goes_on_after_what_no_api_server_says(first):
    async with Server() as server:
        server.watches += [_event("one") + first, _event("two")]
        names = []
        async with aclosing(follow(server.api, Selection(OURS["Tenant"]))) as stream, asyncio.timeout(20):
            async for delta in stream:
                names.append(delta.object.get("metadata", {}).get("name"))
                if "two" in names:
                    break
    assert list(dict.fromkeys(name for name in names if name)) == ["one", "two"]
    assert server.asked.count("list") == 1 + (first == GONE)


@pytest.mark.parametrize("end", [b"", GONE])
async def test_watches_that_end_at_once_are_not_asked_without_end(end):
    async with Server() as server:
        server.watches += [end] * 1000

        async def run():
            async with aclosing(follow(server.api, Selection(OURS["Tenant"]))) as stream:
                async for _ in stream:
                    pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run(), 1.5)
    assert 2 <= server.asked.count("watch") <= 6


async def test_an_answer_that_is_not_json_is_no_answer():
    async with Server() as server:
        server.body = b"<html>a proxy that has lost its way</html>"
        with pytest.raises(errors.Unavailable, match="does not answer"):
            await server.api.get(OURS["Tenant"], "acme")
