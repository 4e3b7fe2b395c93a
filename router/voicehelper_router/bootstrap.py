"""What Envoy starts with: one listener, its filters, and where the control plane is.

The listener waits for its first routes and keys before it accepts connections (no time limit: a restarted Envoy that
does not know the tenants would answer 404 for all of them).
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from voicehelper_router import types
from voicehelper_router.filters import access, agreement, hold, identity_headers, jwt, problems, public_scope, tracing
from voicehelper_router.leaving import DRAIN_PATH
from voicehelper_router.settings import BootstrapSettings
from voicehelper_router.xds.clusters import CONNECT_TIMEOUT, IDENTITY, MAX_REQUESTS, defaults

XDS_CLUSTER = "xds"
_ADS: dict[str, Any] = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
_ADMIN_PATHS = (
    "/ready",
    "/server_info",
    "/stats",
    "/stats/prometheus",
    "/clusters",
    "/listeners",
    "/config_dump",
    "/memory",
)


def address(host: str, port: int) -> dict[str, Any]:
    """A socket address."""
    return {"socket_address": {"address": host, "port_value": port}}


def pipe(path: Path, **more: Any) -> dict[str, Any]:
    """The address of a Unix socket."""
    return {"pipe": {"path": str(path), **more}}


def _static(name: str, host: str, port: int, **extra: Any) -> dict[str, Any]:
    try:
        ipaddress.ip_address(host)
        kind = "STATIC"
    except ValueError:
        kind = "STRICT_DNS"
    return {
        "name": name,
        "type": kind,
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(host, port)}}]}],
        },
        **extra,
    }


def _http2(name: str, host: str, port: int | None) -> dict[str, Any]:
    """A gRPC server of the platform; without a port, a cluster of nothing."""
    options = {
        "@type": types.HTTP_OPTIONS,
        "explicit_http_config": {
            "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
        },
    }
    cluster = _static(
        name,
        host,
        port or 1,
        typed_extension_protocol_options={"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    )
    if port is None:
        cluster["load_assignment"]["endpoints"] = []
    return cluster


def _xds(name: str, settings: BootstrapSettings) -> dict[str, Any]:
    cluster = _http2(name, settings.xds_host, settings.xds_port)
    if settings.xds_socket:
        cluster["load_assignment"]["endpoints"] = [
            {"lb_endpoints": [{"endpoint": {"address": pipe(settings.xds_socket)}}]}
        ]
    return cluster


def _hold(settings: BootstrapSettings) -> dict[str, Any]:
    """The control plane once more: requests that wait must not stand in the way of routes. It bounds their number."""
    breaker = {"max_connections": 100, "max_pending_requests": MAX_REQUESTS, "max_requests": MAX_REQUESTS}
    return {**_xds(hold.CLUSTER, settings), "circuit_breakers": {"thresholds": [breaker]}}


def _connection_manager(settings: BootstrapSettings) -> dict[str, Any]:
    return {
        "@type": types.CONNECTION_MANAGER,
        "stat_prefix": "router",
        "server_name": "voicehelper",
        # Nothing that a client says about itself or its way here is believed.
        "use_remote_address": True,
        "xff_num_trusted_hops": 0,
        # Without a range of its own, Envoy calls private addresses internal and says so to the services.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "early_header_mutation_extensions": identity_headers.render(),
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST",
            "max_headers_count": 100,
            "idle_timeout": "300s",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
        "stream_error_on_invalid_http_message": True,
        "request_headers_timeout": "10s",
        "request_timeout": "300s",
        "stream_idle_timeout": "300s",
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            # The id stays as it is: a decision about sampling is not written into it.
            "typed_config": {
                "@type": types.REQUEST_ID,
                "pack_trace_reason": False,
                "use_request_id_for_trace_sampling": True,
            }
        },
        "tracing": tracing.render(collected=settings.otlp_port is not None),
        "access_log": access.render(),
        "local_reply_config": problems.render(),
        "scoped_routes": {
            "name": "tenants",
            "scope_key_builder": {
                "fragments": [{"header_value_extractor": {"name": identity_headers.TENANT, "index": 0}}]
            },
            "rds_config_source": _ADS,
            "scoped_rds": {"scoped_rds_config_source": _ADS},
        },
        "http_filters": [
            public_scope.render(),
            jwt.render(settings.jwks_cache_seconds),
            agreement.render(),
            hold.render(settings.node_id),
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": types.ROUTER, "suppress_envoy_headers": True},
            },
        ],
    }


def _listener(settings: BootstrapSettings) -> dict[str, Any]:
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": _connection_manager(settings)}
    return {
        "name": "router",
        "address": address(settings.listen_host, settings.listen_port),
        "per_connection_buffer_limit_bytes": 1048576,
        "filter_chains": [{"filters": [manager]}],
    }


def render(settings: BootstrapSettings) -> dict[str, Any]:
    """Envoy's static configuration, ready to be written as JSON."""
    grpc = {
        "envoy_grpc": {
            "cluster_name": XDS_CLUSTER,
            "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
        }
    }
    return {
        "node": {"id": settings.node_id, "cluster": "voicehelper"},
        "admin": {
            "address": pipe(settings.admin_socket, mode=0o600)
            if settings.admin_socket
            else address(settings.admin_host, settings.admin_port),
            # Reading only: whoever reaches the port must not be able to stop or change the router.
            "allow_paths": [
                *({"exact": path} for path in (*_ADMIN_PATHS, *((DRAIN_PATH,) if settings.admin_socket else ()))),
                {"prefix": "/stats?"},
            ],
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [grpc],
                "set_node_on_first_message_only": True,
            },
            "cds_config": _ADS,
        },
        "static_resources": {
            "listeners": [_listener(settings)],
            "clusters": [
                _xds(XDS_CLUSTER, settings),
                _hold(settings),
                _http2(tracing.COLLECTOR_CLUSTER, settings.otlp_host, settings.otlp_port),
                _static(jwt.JWKS_CLUSTER, settings.jwks_host, settings.jwks_port),
                _static(IDENTITY, settings.identity_host, settings.identity_port, **defaults()),
            ],
        },
    }
