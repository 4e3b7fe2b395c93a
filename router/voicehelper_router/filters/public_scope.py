"""Paths that need no token are served in the public scope, whichever tenant the header names.

Otherwise anybody could learn which tenants there are: a name that exists would be answered by identity, another one by
this router with 404. So the tenant header of these few paths is set to the public tenant, and the scope is selected
again. The matcher lets every other request pass by without the script.
"""

from __future__ import annotations

from typing import Any

from voicehelper_core.names import PUBLIC_TENANT

from voicehelper_router import types
from voicehelper_router.filters import paths
from voicehelper_router.filters.identity_headers import TENANT

_SCRIPT = f"""
function envoy_on_request(handle)
  handle:headers():replace("{TENANT}", "{PUBLIC_TENANT}")
  handle:clearRouteCache()
end
"""


def _begins(path: str) -> dict[str, Any]:
    header = {"@type": types.HEADER_INPUT, "header_name": ":path"}
    return {"single_predicate": {"input": {"name": "path", "typed_config": header}, "value_match": {"prefix": path}}}


def render() -> dict[str, Any]:
    """The filter."""
    other = {"not_matcher": {"or_matcher": {"predicate": [_begins(path) for path in (*paths.EXACT, *paths.PREFIXES)]}}}
    skip = {"action": {"name": "skip", "typed_config": {"@type": types.SKIP_FILTER}}}
    script = {"@type": types.LUA, "default_source_code": {"inline_string": _SCRIPT}}
    config = {
        "@type": types.WITH_MATCHER,
        "extension_config": {"name": "envoy.filters.http.lua", "typed_config": script},
        "xds_matcher": {"matcher_list": {"matchers": [{"predicate": other, "on_match": skip}]}},
    }
    return {"name": "envoy.filters.http.lua", "typed_config": config}
