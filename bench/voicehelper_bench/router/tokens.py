"""Signed tokens as identity issues them, in bulk."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from voicehelper_core.auth import AUDIENCE, ISSUER

VALID_SECONDS = 4 * 3600


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """One Ed25519 key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def key_set(self) -> dict[str, Any]:
        """The public half, as identity publishes it."""
        key = {"kty": "OKP", "crv": "Ed25519", "x": _text(self._key.public_key().public_bytes_raw())}
        return {"keys": [{**key, "kid": "bench", "alg": "EdDSA", "use": "sig"}]}

    def token(self, tenant: str) -> str:
        """A token of the tenant's admin, with the claims of ``control_plane.identity.keys``."""
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": str(uuid.uuid4()), "tenant": tenant, "tid": "t" + tenant[-11:],
            "roles": ["tenant-admin"], "scopes": ["chat", "knowledge", "users"], "iat": now,
            "exp": now + VALID_SECONDS, "jti": uuid.uuid4().hex,
        }  # fmt: skip
        head = {"alg": "EdDSA", "kid": "bench", "typ": "JWT"}
        signed = ".".join(_text(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
        return f"{signed}.{_text(self._key.sign(signed.encode()))}"


def write(issuer: Issuer, tenants: Iterable[str], path: Path) -> None:
    """One line ``<tenant> <token>`` a tenant, for ``load.lua``."""
    with path.open("w") as file:
        for tenant in tenants:
            file.write(f"{tenant} {issuer.token(tenant)}\n")
