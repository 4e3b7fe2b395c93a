"""The few paths that need no token. Everything else does, whichever tenant it names."""

from __future__ import annotations

IDENTITY_PREFIX = "/api/v1/identity/"
IDENTITY_ALIAS = "/api/v1/auth/"
DISCOVERY_PREFIX = "/.well-known/"
ARCHIVES = "/api/v1/identity/tenants/(import|[^/]+/export)"
"""Whole tenants come and go there: for as long as it takes."""
HEALTH = "/healthz"
PROBE = "/api/v1/probe"
"""What the operator asks to see a route work; never a reason for a cell to be awake."""

LOGINS = tuple(f"{prefix}{name}" for prefix in (IDENTITY_PREFIX, IDENTITY_ALIAS) for name in ("login", "refresh"))
"""Exact paths that make a token from something else."""
EXACT = (*LOGINS, HEALTH)
PREFIXES = (DISCOVERY_PREFIX,)
