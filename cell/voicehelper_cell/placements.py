"""Which tenants are placed in this cell, from the list that the operator keeps in the cell's Postgres slice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from voicehelper_core import names, postgres
from voicehelper_core.auth import Claims
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied, Unavailable
from voicehelper_core.events import Envelope
from voicehelper_core.log import get_logger

from voicehelper_cell.database import LEAVES

log = get_logger(__name__)
_RELOAD_SECONDS = 0.5  # strangers' tokens must not become load on Postgres
_POLL_SECONDS = 5.0
SERVICE = "service"
"""Role of tokens that no person has."""


def refuse_service_token(claims: Claims) -> None:
    """A service token opens what it was made for and nothing else. Raises PermissionDenied."""
    if SERVICE in claims.roles or claims.scopes:
        raise PermissionDenied("a service token may be used for its own purpose only")


@dataclass(frozen=True, slots=True)
class Placement:
    """One tenant of the cell."""

    tenant_id: str
    name: str
    suspended: bool
    limits: Mapping[str, Any]
    leaving: bool = False
    """Whether it lives in another cell now, or is about to: only what had begun here comes to its end."""


class Placements:
    """Held in memory; renewed by notification, by polling, and when a tenant is unknown."""

    def __init__(self, dsn: str, cell_id: str) -> None:
        self._dsn, self._cell_id = dsn, cell_id
        self._channel = f"placement_{names.checked(cell_id)}"
        self._table = f"{names.placement_schema(cell_id)}.tenants"
        self._known: dict[str, Placement] | None = None  # until it was read, nobody can tell who is here
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._loaded = float("-inf")
        self.reason: str | None = "the list of tenants has not been read yet"

    async def run(self) -> None:
        """Keep the list; until cancelled. Without Postgres the last list stays."""
        try:
            while True:
                try:
                    await self._load()
                except (asyncpg.PostgresError, *postgres.LOST) as error:
                    self.reason = f"Postgres does not answer ({type(error).__name__})"
                    log.warning("the list of tenants cannot be read", error_type=type(error).__name__)
                    await self._disconnect()
                    await asyncio.sleep(0.5)
                    continue
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            await self._disconnect()

    async def _load(self) -> None:
        async with self._lock:
            self._changed.clear()
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=10)
                await self._connection.add_listener(self._channel, lambda *_: self._changed.set())
            query = f"SELECT tenant_id, name, suspended, limits, leaving FROM {self._table}"  # noqa: S608
            rows = await self._connection.fetch(query)
            self._known = {
                row["tenant_id"]: Placement(
                    row["tenant_id"], row["name"], row["suspended"], json.loads(row["limits"]), row["leaving"]
                )
                for row in rows
            }
            self._loaded = time.monotonic()
            self.reason = None

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()

    def admit_user(self, claims: Claims) -> TenantContext:
        """For clients of the gRPC services: service tokens are for the probe only. Raises PermissionDenied."""
        refuse_service_token(claims)
        return self._at_the_edge(claims)

    def all(self, *, served: bool = True) -> list[TenantContext]:
        """A context for each tenant that is served, for work that no user asked for; or for each that is listed."""
        return [
            TenantContext(tenant_id=p.tenant_id, tenant=p.name, user_id="system", cell_id=self._cell_id)
            for p in (self._known or {}).values()
            if not (served and (p.suspended or p.leaving))
        ]

    async def limits(self, who: TenantContext) -> Mapping[str, Any]:
        """What the tenant may use; empty for one that just left."""
        placement = (self._known or {}).get(who.tenant_id)
        return placement.limits if placement else {}

    async def find(self, tenant_id: str) -> Placement | None:
        """The placement; an unknown tenant makes the list be read again, at most twice a second. Raises Unavailable."""
        if tenant_id not in (self._known or {}) and time.monotonic() - self._loaded > _RELOAD_SECONDS:
            try:
                await self._load()
            except (asyncpg.PostgresError, *postgres.LOST):
                self._loaded = time.monotonic()
        return self._placed(tenant_id)

    def _placed(self, tenant_id: str) -> Placement | None:
        if self._known is None:
            raise Unavailable("the list of tenants has not been read yet: try again in a moment")
        return self._known.get(tenant_id)

    async def admit(self, claims: Claims) -> TenantContext:
        """The context of a verified token. Raises PermissionDenied for tenants not placed here, Unavailable."""
        if claims.tid:
            await self.find(claims.tid)
        return self._at_the_edge(claims)

    def _at_the_edge(self, claims: Claims) -> TenantContext:
        """Nothing new begins for a tenant that moves. Raises PermissionDenied, Unavailable."""
        placement = self._placed(claims.tid) if claims.tid else None
        if placement is not None and placement.leaving:
            raise Unavailable(LEAVES)
        return self.admit_known(claims)

    def admit_known(self, claims: Claims) -> TenantContext:
        """The same without reading the list again: for a call within the cell, whose token the BFF has admitted."""
        placement = self._placed(claims.tid) if claims.tid else None
        if placement is None or placement.name != claims.tenant:
            raise PermissionDenied("the token's tenant is not placed in this cell")
        if placement.suspended:
            raise PermissionDenied("the tenant is suspended")
        return TenantContext(
            tenant_id=placement.tenant_id,
            tenant=placement.name,
            user_id=claims.sub,
            cell_id=self._cell_id,
            roles=frozenset(claims.roles),
            scopes=frozenset(claims.scopes),
        )

    async def admit_event(self, envelope: Envelope) -> TenantContext | None:
        """The context of an event on the cell's own topic; None for a tenant that moves, whose new cell does what is
        left to do. Raises PermissionDenied, Unavailable.
        """
        placement = await self.find(envelope.tenant_id)
        if placement is None:
            raise PermissionDenied(f"the tenant {envelope.tenant_id} is not placed in this cell")
        if placement.leaving:
            return None
        return TenantContext(
            tenant_id=placement.tenant_id,
            tenant=placement.name,
            user_id=envelope.user_id,
            cell_id=self._cell_id,
            request_id=str(envelope.metadata.get("request_id", envelope.event_id)),
        )
