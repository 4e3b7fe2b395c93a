"""The xDS server over gRPC."""

from __future__ import annotations

import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from voicehelper_router import types
from voicehelper_router.hold.servicer import HoldServicer
from voicehelper_router.hold.waiting import Waiting
from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.delta import DeltaServicer
from voicehelper_router.xds.server import create_server


async def test_an_envoy_that_has_100000_tenants_may_come_back() -> None:
    cache = Cache()
    cache.load([], [])
    servicer = DeltaServicer(cache)
    holds = HoldServicer(Waiting(cache, servicer, seconds=1, per_tenant=1, total=1))
    server, port = create_server(servicer, holds, "127.0.0.1", 0)
    await server.start()
    request = discovery_pb2.DeltaDiscoveryRequest(
        type_url=types.SCOPE,
        initial_resource_versions={f"tenant:tenant-{number:06}": "0123456789abcdef" for number in range(100_000)},
    )
    assert request.ByteSize() > 4 * 2**20  # gRPC's own limit
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
            for begin in (discovery_pb2.DeltaDiscoveryRequest(type_url=types.CLUSTER), request):
                await call.write(begin)
                response = await call.read()
            assert len(response.removed_resources) == 100_000
            call.cancel()
    finally:
        await server.stop(None)
