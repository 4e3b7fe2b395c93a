"""The aggregated discovery service, delta variant: one stream an Envoy, driven by ``Stream``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from prometheus_client import Counter, Gauge
from voicehelper_core.log import get_logger

from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.stream import Response, Stream

log = get_logger(__name__)
STREAMS = Gauge("router_xds_streams", "Connected Envoys")
RESPONSES = Counter("router_xds_responses", "Deltas sent", ["type"])
RESOURCES = Counter("router_xds_resources", "Resources sent, removals included", ["type"])
REJECTIONS = Counter("router_xds_rejections", "Deltas that an Envoy refused (NACK)", ["type"])

BeforeSend = Callable[[Response], Awaitable[None]]


def short(type_url: str) -> str:
    """``Cluster`` of the long name, for metrics and logs."""
    return type_url.rpartition(".")[2]


def _message(response: Response) -> discovery_pb2.DeltaDiscoveryResponse:
    message = discovery_pb2.DeltaDiscoveryResponse(
        type_url=response.type_url,
        nonce=response.nonce,
        system_version_info=response.nonce,
        removed_resources=response.removed,
    )
    for item in response.resources:
        message.resources.add(name=item.name, version=item.version, resource=item.message)
    return message


class DeltaServicer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    """Answers nobody before there is a snapshot. ``before_send`` is for tests of slow networks."""

    def __init__(self, cache: Cache, before_send: BeforeSend | None = None) -> None:
        self._cache = cache
        self._before_send = before_send
        self.streams: dict[Stream, None] = {}
        """In the order in which they came."""
        self.listeners: list[asyncio.Event] = []
        """Set whenever an Envoy says something."""

    async def DeltaAggregatedResources(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Until Envoy goes away."""
        stream = Stream()
        wake = self._cache.listen()
        ended = asyncio.Event()

        async def read() -> None:
            try:
                async for request in request_iterator:
                    self._read(stream, request)
                    wake.set()
            finally:
                ended.set()
                wake.set()

        reading = asyncio.create_task(read(), name="xds-read")
        self.streams[stream] = None
        STREAMS.inc()
        log.info("envoy connected", peer=context.peer())
        try:
            while not ended.is_set():
                await wake.wait()
                wake.clear()
                snapshot = self._cache.snapshot
                for response in stream.next(snapshot) if snapshot else ():
                    if self._before_send:
                        await self._before_send(response)
                    RESPONSES.labels(short(response.type_url)).inc()
                    RESOURCES.labels(short(response.type_url)).inc(len(response.resources) + len(response.removed))
                    yield _message(response)
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.RpcError, grpc.aio.UsageError):
                await reading
            self._cache.forget(wake)
            self.streams.pop(stream, None)
            STREAMS.dec()
            log.info("envoy disconnected", peer=context.peer())

    def of_node(self, node: str) -> Stream | None:
        """The stream of this Envoy: the newest, where one that it lost still seems to be there."""
        return next((stream for stream in reversed(self.streams) if stream.node == node), None)

    def _read(self, stream: Stream, request: Any) -> None:
        stream.node = request.node.id or stream.node  # only the first message says it
        rejection = stream.request(
            request.type_url,
            subscribe=list(request.resource_names_subscribe),
            unsubscribe=list(request.resource_names_unsubscribe),
            known=dict(request.initial_resource_versions),
            nonce=request.response_nonce,
            error=request.error_detail.message if request.HasField("error_detail") else None,
        )
        if rejection:
            kind = short(rejection.type_url)
            REJECTIONS.labels(kind).inc()
            log.error("envoy refused resources", type=kind, reason=rejection.reason, names=rejection.names)
        for event in self.listeners:
            event.set()
