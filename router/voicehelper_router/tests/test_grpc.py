"""gRPC through the real Envoy: the same rules, and answers that gRPC clients understand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from voicehelper_router.tests.harness import CELL_A, RouterUnderTest
from voicehelper_router.xds.facts import CellFacts

pytestmark = pytest.mark.integration


async def echo(request: bytes, context: Any) -> bytes:
    return "\n".join(f"{key}={value}" for key, value in context.invocation_metadata()).encode()


async def count(request: bytes, context: Any) -> AsyncIterator[bytes]:
    for number in range(3):
        yield str(number).encode()


class Handler(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        if details.method.endswith("Stream"):
            return grpc.unary_stream_rpc_method_handler(count)
        return grpc.unary_unary_rpc_method_handler(echo)


@pytest_asyncio.fixture
async def channel(router: RouterUnderTest) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    http = f"127.0.0.1:{router.a.port}"
    router.cache.set_cell(CELL_A, CellFacts(cell_id=CELL_A, http=http, grpc=f"127.0.0.1:{port}"))
    await router.settled()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as open_channel:
        yield open_channel
    router.load()
    await router.settled()
    await server.stop(0)


def metadata(router: RouterUnderTest, tenant: str, *more: tuple[str, str], of: str = "acme") -> list[tuple[str, str]]:
    return [("x-tenant-id", tenant), ("authorization", f"Bearer {router.issuer.token(of)}"), *more]


async def test_a_call_arrives_without_claims_of_the_client(router: RouterUnderTest, channel: grpc.aio.Channel) -> None:
    claims = (("x-caller", "conversation"), ("x-provisioning-key", "guess"), ("x-user-id", "root"))
    seen = (
        (await channel.unary_unary("/x.Y/Echo")(b"", metadata=metadata(router, "acme", *claims))).decode().split("\n")
    )
    assert "x-user-id=u1" in seen
    assert not [line for line in seen if line.startswith(("x-caller", "x-provisioning-key"))]
    assert [line for line in seen if line.startswith("traceparent=00-")]


async def test_a_stream_arrives(router: RouterUnderTest, channel: grpc.aio.Channel) -> None:
    call = channel.unary_stream("/x.Y/Stream")(b"", metadata=metadata(router, "acme"))
    assert [item async for item in call] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    ("tenant", "of", "code"),
    [
        ("globex", "acme", grpc.StatusCode.PERMISSION_DENIED),
        ("asleep", "asleep", grpc.StatusCode.PERMISSION_DENIED),
        ("coming", "coming", grpc.StatusCode.UNAVAILABLE),
        ("gone", "gone", grpc.StatusCode.UNIMPLEMENTED),  # what gRPC makes of 404
    ],
)
async def test_refusals(
    router: RouterUnderTest, channel: grpc.aio.Channel, tenant: str, of: str, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/x.Y/Echo")(b"", metadata=metadata(router, tenant, of=of))
    assert raised.value.code() == code


async def test_no_token(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/x.Y/Echo")(b"", metadata=[("x-tenant-id", "acme")])
    assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("tenants", [("acme", "globex"), ("globex", "acme"), ("acme", "acme")])
async def test_repeated_tenant(router: RouterUnderTest, channel: grpc.aio.Channel, tenants: tuple[str, str]) -> None:
    """Over HTTP/2, too."""
    twice = [("x-tenant-id", tenants[0]), *metadata(router, tenants[1])]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/x.Y/Echo")(b"", metadata=twice)
    assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED
