"""Removes every header by which a client could claim to be somebody, before anything reads the request.

The tenant header stays: the token has to agree with it. A request without one speaks to the public scope.
"""

from __future__ import annotations

from typing import Any

from voicehelper_core.names import PUBLIC_TENANT

from voicehelper_router import types

TENANT = "x-tenant-id"
TOKEN_TENANT = "x-token-tenant"  # noqa: S105 (a header's name)
USER = "x-user-id"

EXACT = (
    # what this router or a service behind it says about the caller
    USER, TOKEN_TENANT, "x-user", "x-username", "x-user-name", "x-user-email", "x-user-role", "x-user-roles", "x-role",
    "x-roles", "x-scopes", "x-tenant", "x-tenant-name", "x-tenant-role", "x-tenant-roles", "x-tid", "x-cell-id",
    "x-caller", "x-provisioning-key",
    # what other gateways say about the caller
    "x-userinfo", "x-id-token", "x-access-token", "x-jwt-payload", "x-jwt-assertion", "x-remote-user", "remote-user",
    # where the request comes from, and what it was before
    "forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip",
    "x-original-url", "x-original-uri", "x-original-host", "x-rewrite-url", "x-http-method", "x-http-method-override",
    "x-method-override", "x-ot-span-context",
)  # fmt: skip
PREFIXES = (
    "x-envoy-", "x-forwarded-", "x-token-", "x-consumer-", "x-credential-", "x-authenticated-", "x-auth-request-",
    "x-goog-authenticated-", "x-ms-client-principal", "x-amzn-oidc-", "x-voicehelper-", "x-vh-",
)  # fmt: skip


def render() -> list[dict[str, Any]]:
    """The early header mutation of the connection manager."""
    mutations: list[dict[str, Any]] = [{"remove": name} for name in EXACT]
    mutations += [{"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}} for prefix in PREFIXES]
    mutations.append({"append": {"header": {"key": TENANT, "value": PUBLIC_TENANT}, "append_action": "ADD_IF_ABSENT"}})
    return [
        {"name": "identity-headers", "typed_config": {"@type": types.EARLY_HEADER_MUTATION, "mutations": mutations}}
    ]
