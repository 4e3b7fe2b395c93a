"""``grpc.health.v1`` of a compact cell: without a token, ready or not, and what else its port refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from voicehelper_cell.app import public_server
from voicehelper_cell.parts import PARTS
from voicehelper_cell.process import Readiness
from voicehelper_cell.resources import Resources
from voicehelper_cell.settings import CellSettings
from voicehelper_core.call_graph import PUBLIC
from voicehelper_core.rpc import LocalChannel

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Cell:
    """The public port of a cell whose stores nobody asks."""

    def __init__(self) -> None:
        settings = CellSettings(cell_id="ctest0000001", grpc_port=0)
        self.resources = Resources(settings, LocalChannel(), alone=True)
        self.reason: str | None = None

    async def open(self) -> tuple[Any, grpc.aio.Channel]:
        parts = {name: await PARTS[name](self.resources) for name in ("conversation", "knowledge")}
        watched = SimpleNamespace(reason=lambda: self.reason)
        self.ready = Readiness(self.resources, {"watched": watched})  # type: ignore[dict-item]
        server = public_server(self.resources, parts, self.ready)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, grpc.aio.insecure_channel(f"127.0.0.1:{port}")


@pytest.fixture
async def opened() -> AsyncIterator[tuple[Cell, grpc.aio.Channel]]:
    cell = Cell()
    server, channel = await cell.open()
    yield cell, channel
    await channel.close()
    await server.stop(None)
    await cell.resources.close()


async def status(channel: grpc.aio.Channel, service: str = "") -> Any:
    request = health_pb2.HealthCheckRequest(service=service)
    return (await health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)).status


async def test_health_follows_readiness_and_needs_no_token(opened: tuple[Cell, grpc.aio.Channel]) -> None:
    cell, channel = opened
    assert await status(channel) == NOT_SERVING, "the list of tenants has not been read"
    cell.resources.placements.reason = None
    for service in ("", *PUBLIC):
        assert await status(channel, service) == SERVING
    cell.reason = "unfinished answers are being looked at"
    assert await status(channel) == NOT_SERVING
    cell.reason, cell.ready.stopping = None, True
    assert await status(channel) == NOT_SERVING


async def test_everything_else_needs_a_token(opened: tuple[Cell, grpc.aio.Channel]) -> None:
    _, channel = opened
    for path in ("/conversation.v1.ConversationService/ListConversations", "/knowledge.v1.KnowledgeService/Search"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(path)(b"", timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/rag.v1.RagService/Answer")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
