"""Holds a request while its cell wakes: asks the control plane, which answers when the request can go on.

Off for all routes but those of cells that sleep (``xds.held``), so no other request pays for it. The check sees the
tenant's name and nothing else of the request; bodies wait with the client, behind Envoy's flow control. When the answer
comes, the route is chosen again: the tenant's scope names its cell by then.
"""

from __future__ import annotations

from typing import Any

from voicehelper_router import types
from voicehelper_router.filters.identity_headers import TENANT

NAME = "envoy.filters.http.ext_authz"
CLUSTER = "hold"
NODE = "x-router-node"
"""Metadata of the check: which Envoy asks."""
MARK = "x-voicehelper-held"
"""A header that no request has (clients' are removed): Envoy chooses the route again only where headers change."""
MOST_SECONDS = 60
"""After which Envoy gives up; the control plane answers long before (``RouterSettings.hold_seconds``)."""


def render(node_id: str) -> dict[str, Any]:
    """The filter."""
    service = {
        "envoy_grpc": {"cluster_name": CLUSTER},
        "timeout": f"{MOST_SECONDS}s",
        "initial_metadata": [{"key": NODE, "value": node_id}],
    }
    config = {
        "@type": types.EXT_AUTHZ,
        "transport_api_version": "V3",
        "grpc_service": service,
        "clear_route_cache": True,
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "allowed_headers": {"patterns": [{"exact": TENANT}]},
        # A request that was given up was never the cell's.
        "charge_cluster_response_stats": False,
    }
    return {"name": NAME, "disabled": True, "typed_config": config}


def enabled() -> dict[str, Any]:
    """``typed_per_filter_config`` of a route whose requests wait."""
    return {NAME: {"@type": types.FILTER_CONFIG, "config": {"@type": types.EXT_AUTHZ_PER_ROUTE, "check_settings": {}}}}
