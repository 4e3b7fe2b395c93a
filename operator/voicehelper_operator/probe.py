"""The routed probe: what a tenant's client would see, through the router."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import httpx

from voicehelper_operator.identity import Identity

_PAUSE_SECONDS = 0.03


class Prober(Protocol):
    """Asks the tenant's cell through the router."""

    async def probe(
        self, name: str, tenant_id: str, cell_id: str, *, patience: float = 0, canary: str = ""
    ) -> str | None:
        """None when the right cell answers for the right tenant, or what came instead after ``patience`` seconds.

        ``canary`` is the release that is tried in the cell and has to answer; empty asks whoever serves.
        """
        ...


class RoutedProber:
    """Shows a service token with the scope ``probe`` and nothing else."""

    def __init__(self, router_url: str, identity: Identity) -> None:
        self._identity = identity
        self._http = httpx.AsyncClient(base_url=router_url, timeout=5, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def probe(
        self, name: str, tenant_id: str, cell_id: str, *, patience: float = 0, canary: str = ""
    ) -> str | None:
        token = await self._identity.service_token(name, tenant_id, "probe")
        end = time.monotonic() + patience
        while True:
            found = await self._once(name, tenant_id, cell_id, token, canary)
            if found is None or time.monotonic() >= end:
                return found
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _once(self, name: str, tenant_id: str, cell_id: str, token: str, canary: str) -> str | None:
        headers = {"X-Tenant-ID": name, "Authorization": f"Bearer {token}"}
        if canary:
            headers["x-canary"] = "true"
        try:
            answer = await self._http.get("/api/v1/probe", headers=headers)
        except httpx.HTTPError as error:
            return f"the router does not answer ({type(error).__name__})"
        if answer.status_code != 200:
            return f"the router answers {answer.status_code}{_detail(answer)}"
        try:
            body = answer.json()
            who = body["tenant_id"], body["cell_id"]
            release = body["release"] if canary else ""
        except (ValueError, KeyError, TypeError):
            return "something that is not a cell answered"
        if who != (tenant_id, cell_id):
            return f"cell {who[1]} answered for tenant {who[0]}"
        return None if release == canary else f"release {release} answered"


def _detail(answer: httpx.Response) -> str:
    """What the problem says, without what differs in every answer (ids of requests and traces)."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {detail}"[:300]
