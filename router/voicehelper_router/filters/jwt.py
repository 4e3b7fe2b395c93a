"""Verifies access tokens against identity's public keys, or answers 401.

The keys come from the control plane's copy, are fetched in the background (``async_fetch``: with identity down, the
last ones stay in use) and verified tokens are remembered (``jwt_cache_config``: a signature costs more than the rest
of a request). Tokens are taken from the ``Authorization`` header only, never from the query.
"""

from __future__ import annotations

from typing import Any

from voicehelper_core.auth import AUDIENCE, ISSUER, LEEWAY_SECONDS, MAX_TOKEN_LENGTH

from voicehelper_router import types
from voicehelper_router.filters import paths
from voicehelper_router.filters.identity_headers import TOKEN_TENANT, USER

JWKS_PATH = "/.well-known/jwks.json"
JWKS_CLUSTER = "jwks"
_CACHED_TOKENS = 10_000


def render(cache_seconds: float) -> dict[str, Any]:
    """The filter."""
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "require_expiration": True,
        "clock_skew_seconds": LEEWAY_SECONDS,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "forward": True,  # the cell verifies it again
        "remote_jwks": {
            "http_uri": {"uri": f"http://{JWKS_CLUSTER}{JWKS_PATH}", "cluster": JWKS_CLUSTER, "timeout": "2s"},
            "cache_duration": f"{cache_seconds:g}s",
            # Not fast_listener: a restarted Envoy would refuse good tokens until the keys are there.
            "async_fetch": {"fast_listener": False, "failed_refetch_duration": "1s"},
        },
        "jwt_cache_config": {"jwt_cache_size": _CACHED_TOKENS, "jwt_max_token_size": MAX_TOKEN_LENGTH},
        "claim_to_headers": [
            {"header_name": TOKEN_TENANT, "claim_name": "tenant"},
            {"header_name": USER, "claim_name": "sub"},
        ],
        # Where two releases of a cell share its users, the route follows from the user, who is known only now.
        "clear_route_cache": True,
    }
    rules: list[dict[str, Any]] = [{"match": {"path": path}} for path in paths.EXACT]
    rules += [{"match": {"prefix": prefix}} for prefix in paths.PREFIXES]
    rules.append({"match": {"prefix": "/"}, "requires": {"provider_name": "identity"}})
    config = {"@type": types.JWT, "providers": {"identity": provider}, "rules": rules}
    return {"name": "envoy.filters.http.jwt_authn", "typed_config": config}
