"""Routes of a cell in which another release is tried beside the one that serves.

Each route is there twice: with ``x-canary: true`` a request goes to the new release whatever the weight, without it by
the weight. Which of the two a user gets follows from the id that the token proved: a user keeps the release, and has
the new one at every greater weight, since the new one comes first in the list and the hash is cut by the weights.
"""

from __future__ import annotations

from typing import Any

from voicehelper_router.filters.identity_headers import USER
from voicehelper_router.xds import clusters
from voicehelper_router.xds.facts import CanaryFacts, CellFacts

HEADER = "x-canary"
_ASKED = {"name": HEADER, "string_match": {"exact": "true"}}


def split(cell: CellFacts, routes: list[dict[str, Any]], *, brief: str) -> list[dict[str, Any]]:
    """The routes as they are with the cell's canary; as they were without one.

    ``brief`` is the time limit of those whose time is compared: a model's answers, uploads and streams may take long.
    """
    if cell.canary is None:
        return routes
    return [part for route in routes for part in _split(cell.cell_id, cell.canary, route, brief)]


def _split(cell_id: str, canary: CanaryFacts, route: dict[str, Any], brief: str) -> list[dict[str, Any]]:
    serving, tried = _pair(cell_id, canary, route["route"], brief)
    match, action = route["match"], {key: value for key, value in route["route"].items() if key != "cluster"}
    asked = {**match, "headers": [*match.get("headers", []), _ASKED]}
    weighted = {
        "clusters": [
            {"name": tried, "weight": canary.weight},
            {"name": serving, "weight": 100 - canary.weight},
        ],
        "use_hash_policy": True,
    }
    sticky = [{"header": {"header_name": USER}}]
    return [
        {**route, "match": asked, "route": {**action, "cluster": tried}},
        {**route, "route": {**action, "weighted_clusters": weighted, "hash_policy": sticky}},
    ]


def _pair(cell_id: str, canary: CanaryFacts, action: dict[str, Any], brief: str) -> tuple[str, str]:
    """Clusters of the two releases."""
    if action["cluster"] == clusters.grpc_name(cell_id):
        return clusters.grpc_name(cell_id), (
            clusters.canary_grpc_name(cell_id) if canary.grpc else clusters.grpc_name(cell_id)
        )
    if action["timeout"] == brief:
        return clusters.http_name(cell_id), clusters.canary_http_name(cell_id)
    return clusters.streams_name(cell_id), clusters.canary_streams_name(cell_id)
