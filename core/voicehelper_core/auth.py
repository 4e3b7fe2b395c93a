"""Verification of access tokens against identity's public keys.

Keys are kept in memory and on disk, so that tokens are verified while identity is down. Only asymmetric
algorithms are accepted, whatever the token's header says, and only keys of the key set (``jku``, ``jwk``
and ``x5u`` headers are ignored).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from pydantic import BaseModel, Field, ValidationError

from voicehelper_core.errors import Unauthenticated, Unavailable

ISSUER = "voicehelper"
AUDIENCE = "voicehelper-api"
ALGORITHMS = ["EdDSA", "RS256"]
LEEWAY_SECONDS = 5
MAX_TOKEN_LENGTH = 8192
REFRESH_SECONDS = 300.0
"""How often a verifier fetches the keys."""
_MIN_REFRESH_SECONDS = 2.0  # an attacker's unknown kids must not become load on identity
_CACHE_SIZE = 4096
_MAX_JWKS_BYTES = 1 << 20


class _Registry(JWSRegistry):
    """The two algorithms and no other. RFC 9864 renames ``EdDSA``, so joserfc warns of it; Envoy knows the old name."""

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"algorithm '{name}' is not allowed")
        return self.algorithms[name]


REGISTRY = _Registry()
"""For whoever signs: ``jwt.encode(header, claims, key, registry=REGISTRY)``."""


class Claims(BaseModel):
    """What an access token says. ``tenant`` is the name that the router compares, ``tid`` the id."""

    iss: str
    aud: str | list[str]
    sub: str = Field(min_length=1)
    tenant: str = Field(min_length=1)
    tid: str | None = None
    roles: list[str] = Field(default_factory=list)
    scopes: list[str] = Field(default_factory=list)
    iat: int
    exp: int
    jti: str


def decode(token: str, keys: KeySet, *, issuer: str = ISSUER, audience: str = AUDIENCE) -> Claims:
    """Verify signature and claims. Raises Unauthenticated with a reason that helps the caller."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("the token is too long")
    try:
        decoded = jwt.decode(token, keys, registry=REGISTRY)
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        ).validate(decoded.claims)
        return Claims.model_validate(decoded.claims)
    except (JoseError, ValidationError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "error", None) or type(error).__name__
        if reason == "expired_token":
            raise Unauthenticated("the token has expired: log in or refresh it") from None
        raise Unauthenticated(f"the token is not valid ({reason})") from None


class TokenVerifier:
    """Verifies tokens with the keys at ``jwks_url``, or with ``keys``: fixed ones, or what a function gives just then.

    Such a function gives the same object as long as the keys are the same.
    """

    def __init__(
        self,
        jwks_url: str | None = None,
        *,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        cache_file: Path | None = None,
        keys: KeySet | Callable[[], KeySet] | None = None,
    ) -> None:
        self._url = jwks_url
        self._issuer, self._audience = issuer, audience
        self._file = cache_file
        self._follow = keys if callable(keys) else None
        self._keys = keys() if callable(keys) else keys
        self._fetched = time.monotonic() if keys else float("-inf")
        self._lock = asyncio.Lock()
        self._verified: OrderedDict[str, Claims] = OrderedDict()

    async def verify(self, token: str) -> Claims:
        """The claims. Raises Unauthenticated; Unavailable when no key was ever seen."""
        if self._follow is not None:
            self._take(self._follow())
        known = self._verified.get(token)
        if known is not None and known.exp + LEEWAY_SECONDS > time.time():
            return known
        if self._keys is None or time.monotonic() - self._fetched > REFRESH_SECONDS:
            await self._refresh()
        used = self._keys
        try:
            claims = self._decode(token)
        except Unauthenticated as error:
            if "expired" in error.detail:
                raise
            await self._refresh()
            if self._keys is used:  # else this fetched others, or somebody else did meanwhile
                raise
            claims = self._decode(token)
        self._verified[token] = claims
        while len(self._verified) > _CACHE_SIZE:
            self._verified.popitem(last=False)
        return claims

    def _decode(self, token: str) -> Claims:
        if self._keys is None:
            raise Unavailable("identity's keys are not known yet: try again in a moment")
        return decode(token, self._keys, issuer=self._issuer, audience=self._audience)

    async def _refresh(self) -> None:
        """Fetch the keys unless that was done a moment ago."""
        if self._url is None or time.monotonic() - self._fetched < _MIN_REFRESH_SECONDS:
            return
        async with self._lock:
            if time.monotonic() - self._fetched < _MIN_REFRESH_SECONDS:
                return
            document = await self._fetch()
            self._fetched = time.monotonic()
            if document is None:
                return
            keys = KeySet.import_key_set(json.loads(document))
            if self._keys is None or keys.as_dict(private=False) != self._keys.as_dict(private=False):
                self._take(keys)

    def _take(self, keys: KeySet) -> None:
        if keys is not self._keys:
            self._keys = keys
            self._verified.clear()  # a key may have been withdrawn

    async def _fetch(self) -> str | None:
        try:
            text = await asyncio.to_thread(_get, str(self._url))
        except (OSError, ValueError, HTTPException):
            if self._keys is None and self._file and self._file.exists():
                return self._file.read_text()
            return None
        if self._file:
            temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(text)
            temporary.replace(self._file)
        return text


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _get(url: str) -> str:
    """The document, asked for directly whatever the environment says of proxies. Raises OSError, HTTPException.

    The standard library, since an HTTP client for one small request every five minutes would cost each cell 10 MB.
    """
    with _opener.open(url, timeout=2) as answer:
        return str(answer.read(_MAX_JWKS_BYTES).decode())


def bearer(header: str | None) -> str:
    """The token of an ``Authorization`` header. Raises Unauthenticated."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send 'Authorization: Bearer <token>'")
    return token.strip()
