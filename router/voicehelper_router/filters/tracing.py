"""W3C trace context: continues the client's ``traceparent``, or starts a trace.

Envoy's tracer wants a collector. Without one its cluster is empty and no trace is sampled: filling in spans that nobody
gets costs a sixth of the CPU of a request. The context still travels, and says that it is not sampled.
"""

from __future__ import annotations

from typing import Any

from voicehelper_router import types

COLLECTOR_CLUSTER = "otlp"


def render(*, collected: bool) -> dict[str, Any]:
    """``tracing`` of the connection manager."""
    return {
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": types.OPENTELEMETRY,
                "service_name": "router",
                "grpc_service": {"envoy_grpc": {"cluster_name": COLLECTOR_CLUSTER}, "timeout": "1s"},
            },
        },
        "random_sampling": {"value": 100 if collected else 0},
        "max_path_tag_length": 256,
    }
