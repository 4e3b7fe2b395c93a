"""Requests of one tenant's admin through the router, repeated under their key until there is an answer."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx

from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.platform import FiredOn

PATIENCE_SECONDS = 120
_RETRIED = frozenset({401, 409, 425, 429, 500, 502, 503, 504})
"""What may happen while something is away, and while a key's first request is still at work. 401: a new token."""
_PAUSE_SECONDS = 0.3
_REFRESH_SECONDS = 60


class GivenUp(Exception):
    """No answer within the patience: nobody knows what happened."""


class Refused(Exception):
    """An answer that must not happen."""


class Caller:
    """Speaks for a tenant's admin. Raises GivenUp, Refused; every status is counted in the ledger."""

    def __init__(self, fired: FiredOn, ledger: Ledger, name: str, tenant_id: str) -> None:
        self._login = _login_of(fired.platform.home, tenant_id)
        self._ledger, self._name = ledger, name
        self._http = httpx.AsyncClient(
            base_url=fired.platform.router, timeout=httpx.Timeout(30, connect=5), trust_env=False
        )
        self._token, self._until = "", 0.0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, method: str, path: str, *, what: str, key: str = "", repeated: int = 0, **body: Any) -> Any:
        """The JSON of the answer (None for an empty one), however many tries it takes; one effect under ``key``.

        ``repeated`` is the status that means success when an earlier try got no answer (404 to a deletion).
        """
        end, last = time.monotonic() + PATIENCE_SECONDS, ""
        while True:
            try:
                headers = {"X-Tenant-ID": self._name, "Authorization": f"Bearer {await self._bearer()}"}
                if key:
                    headers["Idempotency-Key"] = key
                answer = await self._http.request(method, path, headers=headers, **body)
            except httpx.HTTPError as error:
                self._ledger.statuses[f"{what} lost"] += 1
                last = repr(error)
            else:
                self._ledger.statuses[f"{what} {answer.status_code}"] += 1
                if answer.is_success or (last and answer.status_code == repeated):
                    return answer.json() if answer.content else None
                last = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code not in _RETRIED:
                    self._ledger.wrong.append(f"{self._name}: {method} {path}: {last}")
                    raise Refused(last)
                if answer.status_code == 401:
                    self._until = 0.0
            if time.monotonic() > end:
                raise GivenUp(f"{method} {path}: {last}")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _bearer(self) -> str:
        if time.monotonic() > self._until:
            answer = await self._http.post("/api/v1/identity/login", json=self._login)
            answer.raise_for_status()
            pair = answer.json()
            self._token = pair["access_token"]
            self._until = time.monotonic() + int(pair["expires_in"]) - _REFRESH_SECONDS
        return self._token


def _login_of(home: Path, tenant_id: str) -> dict[str, str]:
    secret: dict[str, str] = json.loads((home / "secrets" / f"tenant-{tenant_id}-admin.json").read_text())
    return secret
