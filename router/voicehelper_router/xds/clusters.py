"""Clusters: where a cell's HTTP and gRPC servers are, and how much of them one router may use (docs/adr/0009)."""

from __future__ import annotations

import ipaddress
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as _registered  # noqa: F401 (by its type URL)

from voicehelper_router import types
from voicehelper_router.xds.facts import CellFacts
from voicehelper_router.xds.resource import Rendered

IDENTITY = "identity-http"
CONNECT_TIMEOUT = "1s"
MAX_REQUESTS = 10_000
"""At once, of one cluster. An open stream of events is a request that lasts, and over HTTP/1.1 a connection too."""
MAX_PENDING = 1024
"""Waiting for a connection."""


def http_name(cell_id: str) -> str:
    """Cluster of a cell's BFF."""
    return f"{cell_id}-http"


def grpc_name(cell_id: str) -> str:
    """Cluster of a cell's gRPC services."""
    return f"{cell_id}-grpc"


def canary_http_name(cell_id: str) -> str:
    """Cluster of the BFF of what is tried beside a cell."""
    return f"{cell_id}-canary-http"


def canary_grpc_name(cell_id: str) -> str:
    """Cluster of its gRPC services."""
    return f"{cell_id}-canary-grpc"


def streams_name(cell_id: str) -> str:
    """Cluster of a cell's BFF for answers that last, while their time must not be taken for that of the others."""
    return f"{cell_id}-streams"


def canary_streams_name(cell_id: str) -> str:
    """The same of what is tried beside it."""
    return f"{cell_id}-canary-streams"


def names(cell_id: str) -> tuple[str, ...]:
    """Names of all clusters that a cell may have."""
    every = http_name, grpc_name, canary_http_name, canary_grpc_name, streams_name, canary_streams_name
    return tuple(name(cell_id) for name in every)


def defaults(*, http2: bool = False) -> dict[str, Any]:
    """Breaker, outlier detection and balance of every cluster behind the router."""
    protocol: dict[str, Any] = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
    breaker = {
        "max_connections": 100 if http2 else MAX_REQUESTS,
        "max_pending_requests": MAX_PENDING,
        "max_requests": MAX_REQUESTS,
        "max_retries": 3,
        "track_remaining": True,  # what is left tells what is in flight (``activity``)
    }
    options = {
        "@type": types.HTTP_OPTIONS,
        "explicit_http_config": protocol,
        # Shorter than the servers' own keep-alive, so that a connection is never reused while it is being closed.
        "common_http_protocol_options": {"idle_timeout": "30s"},
    }
    return {
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [breaker]},
        "outlier_detection": {
            "consecutive_5xx": 5,
            "interval": "30s",
            "base_ejection_time": "30s",
            "max_ejection_percent": 50,
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


def _cluster(name: str, endpoint: str, *, http2: bool = False) -> Rendered:
    host, _, port = endpoint.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        kind = "STATIC"
    except ValueError:
        kind = "STRICT_DNS"
    address = {"socket_address": {"address": host, "port_value": int(port)}}
    content = {
        "name": name,
        "type": kind,
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        **defaults(http2=http2),
    }
    return Rendered(cluster_pb2.Cluster, name, content)


def of_cell(cell: CellFacts) -> list[Rendered]:
    """The cell's clusters; none while it has no address."""
    if not cell.http:
        return []
    clusters = [_cluster(http_name(cell.cell_id), cell.http)]
    if cell.grpc:
        clusters.append(_cluster(grpc_name(cell.cell_id), cell.grpc, http2=True))
    if cell.canary:
        clusters += [
            _cluster(streams_name(cell.cell_id), cell.http),
            _cluster(canary_http_name(cell.cell_id), cell.canary.http),
            _cluster(canary_streams_name(cell.cell_id), cell.canary.http),
        ]
        if cell.grpc and cell.canary.grpc:
            clusters.append(_cluster(canary_grpc_name(cell.cell_id), cell.canary.grpc, http2=True))
    return clusters
