"""The routed probe: what a tenant's client would see, through the router."""

from __future__ import annotations

from typing import Protocol

import httpx

from voicehelper_operator.identity import Identity


class Prober(Protocol):
    """Asks the tenant's cell through the router."""

    async def probe(self, name: str, tenant_id: str, cell_id: str) -> str | None:
        """None when the right cell answers for the right tenant, or what came instead."""
        ...


class RoutedProber:
    """Shows a service token with the scope ``probe`` and nothing else."""

    def __init__(self, router_url: str, identity: Identity) -> None:
        self._identity = identity
        self._http = httpx.AsyncClient(base_url=router_url, timeout=5, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def probe(self, name: str, tenant_id: str, cell_id: str) -> str | None:
        token = await self._identity.service_token(name, tenant_id, "probe")
        headers = {"X-Tenant-ID": name, "Authorization": f"Bearer {token}"}
        try:
            answer = await self._http.get("/api/v1/probe", headers=headers)
        except httpx.HTTPError as error:
            return f"the router does not answer ({type(error).__name__})"
        if answer.status_code != 200:
            return f"the router answers {answer.status_code}: {answer.text[:200]}"
        body = answer.json()
        if (body.get("tenant_id"), body.get("cell_id")) != (tenant_id, cell_id):
            return f"cell {body.get('cell_id')} answered for tenant {body.get('tenant_id')}"
        return None
