"""One line a request, in the product's log format, without the query (it may hold what nobody should read)."""

from __future__ import annotations

from typing import Any

from voicehelper_router import types


def render() -> list[dict[str, Any]]:
    """``access_log`` of the connection manager."""
    line = {
        "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "level": "INFO",
        "service": "router",
        "trace_id": "%TRACE_ID%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "tenant": "%REQ(X-TENANT-ID):64%",
        "user_id": "%REQ(X-USER-ID):64%",
        "message": "request",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ):256%",
        "status": "%RESPONSE_CODE%",
        "cause": "%RESPONSE_CODE_DETAILS%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "duration_ms": "%DURATION%",
        "bytes_sent": "%BYTES_SENT%",
    }
    config = {"@type": types.STDOUT_LOG, "log_format": {"json_format": line}}
    return [{"name": "envoy.access_loggers.stdout", "typed_config": config}]
