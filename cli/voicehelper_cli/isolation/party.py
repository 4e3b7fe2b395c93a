"""A tenant that takes part: its names and ids, its credentials, its client."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from voicehelper_core import cell_bundle, names

from voicehelper_cli.client import Credentials, problem_of

_RENEW_BEFORE_SECONDS = 120
_BUSY_SECONDS = 60.0


@dataclass(slots=True, repr=False)
class Party:
    """``cell_http`` and ``cell_grpc`` are the cell's own ports (``host:port``), behind the router."""

    credentials: Credentials
    tenant_id: str
    cell: str
    cell_id: str
    cell_http: str
    cell_grpc: str
    router_url: str
    store_credentials: dict[str, str]
    """The cell's real passwords from its secret (``core.cell_bundle``)."""
    access_token: str = ""
    refresh_token: str = ""
    _until: float = 0.0
    _http: httpx.AsyncClient | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The tenant's name."""
        return self.credentials.tenant

    @property
    def account(self) -> names.Account:
        """The account of each store that the cell's workload uses."""
        return cell_bundle.current(self.store_credentials)

    def store_password(self, secret: str) -> str:
        """The current account's, such as that called ``kafka_password``."""
        return cell_bundle.password(self.store_credentials, secret)

    @property
    def http(self) -> httpx.AsyncClient:
        """A client of the router without any header of its own."""
        if self._http is None:
            self._http = httpx.AsyncClient(base_url=self.router_url, timeout=30, trust_env=False)
        return self._http

    async def token(self, *, fresh: bool = False) -> str:
        """A valid access token of the tenant's admin. Raises ApiError."""
        if fresh or time.monotonic() >= self._until:
            who = self.credentials
            answer = await self.http.post(
                "/api/v1/identity/login", json={"tenant": who.tenant, "email": who.email, "password": who.password}
            )
            if answer.is_error:
                raise problem_of(answer)
            pair = answer.json()
            self.access_token, self.refresh_token = pair["access_token"], pair["refresh_token"]
            self._until = time.monotonic() + int(pair["expires_in"]) - _RENEW_BEFORE_SECONDS
        return self.access_token

    async def headers(self) -> dict[str, str]:
        """What an honest request of the tenant carries."""
        return {"X-Tenant-ID": self.name, "Authorization": f"Bearer {await self.token()}"}

    async def call(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of an honest request, tried again while the platform is busy. Raises ApiError."""
        headers, end = {**await self.headers(), **arguments.pop("headers", {})}, time.monotonic() + _BUSY_SECONDS
        while True:
            answer = await self.http.request(method, path, headers=headers, **arguments)
            if answer.status_code not in (429, 503, 504) or time.monotonic() > end:
                break
            await asyncio.sleep(0.3)
        if answer.is_error:
            raise problem_of(answer)
        return answer.json() if answer.content else None

    async def close(self) -> None:
        """Close the client."""
        if self._http is not None:
            await self._http.aclose()
