"""A copy of identity's public keys, for Envoy: there while identity is not, from disk after a restart.

Only public keys of asymmetric algorithms are passed on, whatever the source says: a symmetric key in the set would let
anybody who reads the set sign tokens.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import Gauge
from voicehelper_core.log import get_logger

from voicehelper_router.xds.persist import write_atomically

log = get_logger(__name__)
KEYS = Gauge("router_jwks_keys", "Public keys known")
STALE = Gauge("router_jwks_stale", "1 while identity does not answer and its last keys are served")
_PUBLIC = {
    "OKP": ("kty", "crv", "x", "kid", "alg", "use"),
    "RSA": ("kty", "n", "e", "kid", "alg", "use"),
    "EC": ("kty", "crv", "x", "y", "kid", "alg", "use"),
}


def public_only(document: Any) -> dict[str, Any]:
    """The key set, reduced to public members of asymmetric keys. Raises ValueError when no key is left."""
    found = document.get("keys") if isinstance(document, dict) else None
    keys = [
        {name: key[name] for name in _PUBLIC[key["kty"]] if name in key}
        for key in (found if isinstance(found, list) else [])
        if isinstance(key, dict) and key.get("kty") in _PUBLIC
    ]
    if not keys:
        raise ValueError("the key set holds no public key")
    return {"keys": keys}


class KeyCopy:
    """The keys, refreshed from ``source`` and kept in ``file``."""

    def __init__(self, source: str, file: Path) -> None:
        self._source, self._file = source, file
        self.document: dict[str, Any] | None = None
        self.reason: str | None = "identity's keys were not fetched yet"

    def restore(self) -> None:
        """Take the copy from disk, if there is one."""
        try:
            self._take(json.loads(self._file.read_text()), save=False)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.error("copy of the keys is unreadable", path=str(self._file), reason=str(error))

    async def fetch(self, client: httpx.AsyncClient) -> bool:
        """Fetch once; False (and the old keys stay) when that fails."""
        try:
            response = await client.get(self._source)
            response.raise_for_status()
            self._take(response.json(), save=True)
        except (httpx.HTTPError, ValueError, OSError) as error:
            reason = f"identity's keys cannot be fetched ({type(error).__name__})"
            if self.reason is None or self.document is None:
                log.warning(
                    "identity's keys cannot be fetched", error_type=type(error).__name__, copy=bool(self.document)
                )
            self.reason = reason
            STALE.set(1)
            return False
        self.reason = None
        STALE.set(0)
        return True

    def _take(self, document: Any, *, save: bool) -> None:
        keys = public_only(document)
        if keys == self.document:
            return
        self.document = keys
        KEYS.set(len(keys["keys"]))
        log.info("public keys", kids=[key.get("kid") for key in keys["keys"]])
        if save:
            write_atomically(self._file, [json.dumps(keys).encode()])

    async def run(self, seconds: float) -> None:
        """For ever; quickly until the first keys are there."""
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            while True:
                await self.fetch(client)
                await asyncio.sleep(seconds if self.document else min(seconds, 0.5))
