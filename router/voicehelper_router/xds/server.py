"""The gRPC server that Envoys connect to: for their resources, and for what holds requests."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
from envoy.service.auth.v3 import external_auth_pb2_grpc
from envoy.service.discovery.v3 import ads_pb2_grpc

from voicehelper_router.hold.servicer import HoldServicer
from voicehelper_router.xds.delta import DeltaServicer

_OPTIONS = [
    # Envoy pings to notice a dead control plane; that is no abuse.
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # An Envoy that comes back begins with the version of each resource that it has: 5 MB with 100,000 tenants, and
    # gRPC's own limit of 4 MiB would turn it away for ever.
    ("grpc.max_receive_message_length", 256 * 2**20),
    # A burst of held requests is more than this process can begin with at once. From 1,000 on, gRPC refuses some
    # of them by chance; how many may wait is said by ``RouterSettings.holds``.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
]


def create_server(
    resources: DeltaServicer, holds: HoldServicer, host: str, port: int, socket: Path | None = None
) -> tuple[grpc.aio.Server, int]:
    """A server that is not started yet, and its port (0 chooses one); with ``socket`` it listens there instead."""
    server = grpc.aio.server(options=_OPTIONS)
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(resources, server)
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(holds, server)
    return server, server.add_insecure_port(f"unix:{socket}" if socket else f"{host}:{port}")
