"""Route configurations: one a cell, and ``_public``, ``_suspended``, ``_unavailable`` and ``_asleep``, which need none.

All of them route identity and discovery, so that people of a suspended tenant can still log in and see why.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from envoy.config.route.v3 import route_pb2

from voicehelper_router.filters import paths, problems
from voicehelper_router.xds import canary
from voicehelper_router.xds.clusters import IDENTITY, grpc_name, http_name
from voicehelper_router.xds.facts import CellFacts
from voicehelper_router.xds.resource import Rendered

PUBLIC, SUSPENDED, UNAVAILABLE, ASLEEP = "_public", "_suspended", "_unavailable", "_asleep"
# A cell ends its own calls first (30 s; 60 s for an upload; 120 s for an answer of the model) and says why. These are
# for one that hangs.
REQUEST_TIMEOUT = "35s"
UPLOAD_TIMEOUT = "65s"
ANSWER_TIMEOUT = "125s"
EVENTS_IDLE_TIMEOUT = "40s"  # cells send a heartbeat every 10 s
ARCHIVE_IDLE_TIMEOUT = "900s"  # while a large archive is verified, nothing is said
GRPC_IDLE_TIMEOUT = "120s"  # clients set deadlines of their own
_RETRY = {
    "retry_on": "connect-failure,refused-stream,reset",  # of reads only: a pod that leaves closes what Envoy keeps open
    "num_retries": 2,
    "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
}
_UPLOADS = "/api/v1/knowledge/documents"
_CONVERSATIONS = "/api/v1/conversations"


@lru_cache(65536)  # one string for all tenants of a cell
def cell_name(cell_id: str) -> str:
    """Route configuration of a cell."""
    return f"cell-{cell_id}"


def direct(match: dict[str, Any], status: int, text: str) -> dict[str, Any]:
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": text}}}


def _header(name: str, **matcher: Any) -> dict[str, Any]:
    return {"name": name, "string_match": matcher}


def _identity() -> list[dict[str, Any]]:
    action = {"cluster": IDENTITY, "timeout": "30s"}
    archive = {**action, "timeout": "0s", "idle_timeout": ARCHIVE_IDLE_TIMEOUT}
    return [
        {"match": {"safe_regex": {"regex": paths.ARCHIVES}}, "route": archive},
        {"match": {"prefix": paths.IDENTITY_PREFIX}, "route": action},
        {"match": {"prefix": paths.IDENTITY_ALIAS}, "route": {**action, "prefix_rewrite": paths.IDENTITY_PREFIX}},
        {"match": {"prefix": paths.DISCOVERY_PREFIX}, "route": action},
        direct({"path": paths.HEALTH}, 200, "ok\n"),
    ]


def configuration(name: str, routes: list[dict[str, Any]]) -> Rendered:
    host = {"name": "all", "domains": ["*"], "routes": [*_identity(), *routes]}
    return Rendered(route_pb2.RouteConfiguration, name, {"name": name, "virtual_hosts": [host]})


def of_cell(cell: CellFacts) -> Rendered:
    """The configuration of a cell that is awake."""
    probe = canary.split(cell, [_probe(cell)], brief=REQUEST_TIMEOUT)
    return configuration(cell_name(cell.cell_id), [*probe, *requests(cell)])


def _probe(cell: CellFacts) -> dict[str, Any]:
    """Of high priority, since Envoy counts what is in flight by priority, and without a counter (``activity``)."""
    action = {
        "cluster": http_name(cell.cell_id),
        "timeout": REQUEST_TIMEOUT,
        "priority": "HIGH",
        "retry_policy": _RETRY,
    }
    return {"match": {"path": paths.PROBE}, "route": action}


def requests(cell: CellFacts) -> list[dict[str, Any]]:
    """gRPC by its content type; streams without a time limit; reads are tried again, writes never."""
    http, everything = http_name(cell.cell_id), {"prefix": "/"}
    events = {"cluster": http, "timeout": "0s", "idle_timeout": EVENTS_IDLE_TIMEOUT}
    routes: list[dict[str, Any]] = []
    if cell.grpc:
        action = {
            "cluster": grpc_name(cell.cell_id),
            "timeout": "0s",
            "idle_timeout": GRPC_IDLE_TIMEOUT,
            "max_stream_duration": {"grpc_timeout_header_max": "3600s"},
        }
        routes.append({"match": {**everything, "grpc": {}}, "route": action})
    reads = [_header(":method", safe_regex={"regex": "GET|HEAD"})]
    post = _header(":method", exact="POST")
    routes += [
        {"match": {**everything, "headers": [_header("accept", contains="text/event-stream")]}, "route": events},
        {
            "match": {**everything, "headers": reads},
            "route": {"cluster": http, "timeout": REQUEST_TIMEOUT, "retry_policy": _RETRY},
        },
        {
            "match": {"path": _UPLOADS, "headers": [post]},
            "route": {"cluster": http, "timeout": UPLOAD_TIMEOUT},
        },
        {
            "match": {
                "path_separated_prefix": _CONVERSATIONS,
                "headers": [post, _header(":path", suffix="/messages")],
            },
            "route": {"cluster": http, "timeout": ANSWER_TIMEOUT},
        },
        {"match": everything, "route": {"cluster": http, "timeout": REQUEST_TIMEOUT}},
    ]
    split = canary.split(cell, routes, brief=REQUEST_TIMEOUT)
    return [{**route, "stat_prefix": cell.cell_id} for route in split]


def common() -> list[Rendered]:
    """The configurations that belong to no cell."""
    everything = {"prefix": "/"}
    return [
        configuration(
            PUBLIC,
            [
                direct(
                    everything, 404, "nothing is served here without a tenant: send X-Tenant-ID with the tenant's name"
                )
            ],
        ),
        configuration(
            SUSPENDED,
            [direct(everything, 403, "the tenant is suspended: its data is kept, ask the operator to lift it")],
        ),
        configuration(
            UNAVAILABLE,
            [direct(everything, 503, "the tenant is not ready to serve requests yet: try again in a moment")],
        ),
        configuration(
            ASLEEP,
            [
                {
                    **direct(
                        everything, 503, "the tenant's cell was put to sleep by its operators: ask them to wake it"
                    ),
                    "name": problems.ASLEEP_ROUTE,
                }
            ],
        ),
    ]
