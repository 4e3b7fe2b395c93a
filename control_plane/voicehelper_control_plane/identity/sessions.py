"""Login, refresh with rotation, logout."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from voicehelper_core.errors import NotFound, PermissionDenied, Unauthenticated
from voicehelper_core.names import PUBLIC_TENANT
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Tenant

from voicehelper_control_plane.audit import repository as audit
from voicehelper_control_plane.identity import repository
from voicehelper_control_plane.identity.keys import Signer
from voicehelper_control_plane.identity.limits import LoginLimiter
from voicehelper_control_plane.identity.models import TokenPair
from voicehelper_control_plane.identity.passwords import Passwords
from voicehelper_control_plane.principal import Principal
from voicehelper_control_plane.settings import ControlPlaneSettings

_WRONG = "tenant, email or password is wrong"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Issues pairs of tokens. A refresh token is random, stored as a hash, and good for one use."""

    pool: asyncpg.Pool
    settings: ControlPlaneSettings
    signer: Signer
    passwords: Passwords
    limiter: LoginLimiter
    store: ResourceStore

    async def login(
        self, tenant: str, email: str, password: str, address: str | None, request_id: str = ""
    ) -> TokenPair:
        """A pair of tokens. Raises Unauthenticated, the same for every cause; QuotaExceeded after many failures."""
        account = f"{tenant}/{email.lower()}"
        self.limiter.attempt(address, account)
        readable = "\0" not in account + password
        user = await repository.by_email(self.pool, tenant, email) if readable else None
        fits = await self.passwords.verify(user["password_hash"] if user else None, password)
        if user is None or not fits or user["status"] != "active":
            raise Unauthenticated(_WRONG)
        self.limiter.succeeded(address, account)
        async with self.pool.acquire() as connection, connection.transaction():
            pair = await self._issue(connection, user, uuid.uuid4())
            who = Principal(str(user["id"]), user["tenant"], user["tenant_id"], frozenset(user["roles"]), request_id)
            await audit.record(connection, who, "login", f"user/{user['id']}", tenant_id=user["tenant_id"])
            await connection.execute("DELETE FROM identity.refresh_tokens WHERE expires_at < now()")
        return pair

    async def refresh(self, token: str, request_id: str = "") -> TokenPair:
        """A new pair; the old refresh token is spent. Raises Unauthenticated; PermissionDenied while suspended.

        A spent token that comes again was stolen from somebody: the whole family ends.
        """
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                row = await connection.fetchrow(
                    "SELECT family, user_id, expires_at, used_at FROM identity.refresh_tokens"
                    " WHERE token_hash = $1 FOR UPDATE",
                    _hash(token),
                )
                if row is None or row["expires_at"] <= datetime.now(UTC):
                    raise Unauthenticated("the refresh token is unknown or has expired: log in again")
                if row["used_at"] is None:
                    user = await repository.by_id(connection, str(row["user_id"]), None)
                    if user["status"] != "active":
                        raise Unauthenticated("the user is disabled")
                    await self._require_serving(user)
                    await connection.execute(
                        "UPDATE identity.refresh_tokens SET used_at = now() WHERE token_hash = $1", _hash(token)
                    )
                    return await self._issue(connection, user, row["family"])
            await self._end(connection, row["family"], "session.reuse", request_id)
        raise Unauthenticated("the refresh token was used before: the session has been ended, log in again")

    async def logout(self, token: str, request_id: str = "") -> None:
        """End the session; no error for a token that is not known."""
        async with self.pool.acquire() as connection:
            family = await connection.fetchval(
                "SELECT family FROM identity.refresh_tokens WHERE token_hash = $1", _hash(token)
            )
            if family:
                await self._end(connection, family, "logout", request_id)

    def service_token(self, tenant: str, tenant_id: str, scope: str) -> tuple[str, int]:
        """A short-lived token with one scope and no user, and when it ends."""
        seconds = self.settings.service_token_seconds
        return self.signer.sign(
            seconds=seconds, subject=f"service:{scope}", tenant=tenant, tenant_id=tenant_id, roles=["service"],
            scopes=[scope],
        )  # fmt: skip

    async def _issue(self, connection: asyncpg.Connection, user: asyncpg.Record, family: uuid.UUID) -> TokenPair:
        refresh = secrets.token_urlsafe(32)
        ends = datetime.now(UTC) + timedelta(seconds=self.settings.refresh_seconds)
        await repository.add_refresh(connection, _hash(refresh), family, user["id"], ends)
        tenant_id = None if user["tenant_id"] == PUBLIC_TENANT else user["tenant_id"]
        access, _ = self.signer.sign(
            seconds=self.settings.token_seconds,
            subject=str(user["id"]),
            tenant=user["tenant"],
            tenant_id=tenant_id,
            roles=list(user["roles"]),
            scopes=[],
        )
        return TokenPair(access_token=access, refresh_token=refresh, expires_in=self.settings.token_seconds)

    async def _require_serving(self, user: asyncpg.Record) -> None:
        """Raises PermissionDenied for a suspended tenant, whose token is not spent; Unauthenticated for a gone one."""
        if user["tenant_id"] == PUBLIC_TENANT:
            return
        try:
            tenant = await self.store.get(Tenant, user["tenant"])
        except NotFound:
            tenant = None
        if tenant is None or tenant.status.tenant_id != user["tenant_id"]:
            raise Unauthenticated("the tenant is gone")
        paused = any(item.type == "Paused" and item.status == "True" for item in tenant.status.conditions)
        if tenant.metadata.deletion_timestamp and not paused:  # the deletion of a paused one waits
            raise Unauthenticated("the tenant is gone")
        if tenant.spec.suspended:
            raise PermissionDenied("the tenant is suspended")

    async def _end(self, connection: asyncpg.Connection, family: uuid.UUID, action: str, request_id: str) -> None:
        async with connection.transaction():
            user_id = await connection.fetchval(
                "WITH gone AS (DELETE FROM identity.refresh_tokens WHERE family = $1 RETURNING user_id)"
                " SELECT user_id FROM gone LIMIT 1",
                family,
            )
            tenant_id = await connection.fetchval("SELECT tenant_id FROM identity.users WHERE id = $1", user_id)
            if tenant_id:
                await audit.record(
                    connection, None, action, f"user/{user_id}", tenant_id=tenant_id,
                    actor=str(user_id), request_id=request_id,
                )  # fmt: skip


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
