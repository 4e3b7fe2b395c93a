"""SQL of identity. Every query on users names the tenant."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TypeAlias

import asyncpg
from voicehelper_core.errors import Conflict, NotFound

from voicehelper_control_plane import pagination

_USER = (
    "SELECT u.id, u.tenant_id, t.name AS tenant, u.email, u.display_name, u.status, u.created_at, u.password_hash,"
    " COALESCE(array_agg(r.role ORDER BY r.role) FILTER (WHERE r.role IS NOT NULL), '{}') AS roles"
    " FROM identity.users u JOIN identity.tenants t ON t.tenant_id = u.tenant_id AND t.retired_at IS NULL"
    " LEFT JOIN identity.user_roles r ON r.user_id = u.id"
)
_GROUP = " GROUP BY u.id, t.name"
Connection: TypeAlias = asyncpg.Connection | asyncpg.Pool


async def by_email(connection: Connection, tenant: str, email: str) -> asyncpg.Record | None:
    """The user of a tenant (by its name) with this address."""
    return await connection.fetchrow(f"{_USER} WHERE t.name = $1 AND lower(u.email) = lower($2){_GROUP}", tenant, email)


async def by_id(connection: Connection, user_id: str, tenant_id: str | None) -> asyncpg.Record:
    """A user of the tenant; any user for None. Raises NotFound, also for what is not an id."""
    try:
        identifier = uuid.UUID(user_id)
    except ValueError:
        raise NotFound(f"no user '{user_id[:100]}'") from None
    row = await connection.fetchrow(
        f"{_USER} WHERE u.id = $1 AND ($2::text IS NULL OR u.tenant_id = $2){_GROUP}", identifier, tenant_id
    )
    if row is None:
        raise NotFound(f"no user '{user_id[:100]}'")
    return row


async def listing(connection: Connection, tenant_id: str, limit: int, cursor: str) -> tuple[list[asyncpg.Record], str]:
    """Users of a tenant by age."""
    key = pagination.decode(cursor, 2)
    after = _after(key) if key else (None, None)
    rows = await connection.fetch(
        f"{_USER} WHERE u.tenant_id = $1 AND ($2::timestamptz IS NULL OR (u.created_at, u.id) > ($2, $3)){_GROUP}"
        " ORDER BY u.created_at, u.id LIMIT $4",
        tenant_id,
        *after,
        limit + 1,
    )
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], pagination.encode(last["created_at"].isoformat(), last["id"]) if last else ""


def _after(key: list[str]) -> tuple[datetime, uuid.UUID]:
    try:
        moment = datetime.fromisoformat(key[0])
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment, uuid.UUID(key[1])
    except ValueError:
        raise pagination.wrong() from None


async def add(
    connection: asyncpg.Connection, tenant_id: str, email: str, *, display_name: str, password_hash: str, role: str
) -> uuid.UUID:
    """Make a user. Raises Conflict when the tenant has one with this address."""
    try:
        user_id: uuid.UUID = await connection.fetchval(
            "INSERT INTO identity.users (tenant_id, email, display_name, password_hash) VALUES ($1, $2, $3, $4)"
            " RETURNING id",
            tenant_id,
            email,
            display_name,
            password_hash,
        )
    except asyncpg.UniqueViolationError:
        raise Conflict(f"the tenant has a user with the address {email} already") from None
    await connection.execute("INSERT INTO identity.user_roles (user_id, role) VALUES ($1, $2)", user_id, role)
    return user_id


async def change(
    connection: asyncpg.Connection,
    user_id: uuid.UUID,
    *,
    display_name: str | None,
    password_hash: str | None,
    status: str | None,
) -> None:
    """Set what is given; None stays as it is."""
    await connection.execute(
        "UPDATE identity.users SET display_name = COALESCE($2, display_name),"
        " password_hash = COALESCE($3, password_hash), status = COALESCE($4, status), updated_at = now() WHERE id = $1",
        user_id,
        display_name,
        password_hash,
        status,
    )


async def count(connection: Connection, tenant_id: str) -> int:
    """Users of a tenant."""
    number: int = await connection.fetchval("SELECT count(*) FROM identity.users WHERE tenant_id = $1", tenant_id)
    return number


async def tenant(connection: Connection, tenant_id: str, *, lock: bool = False) -> asyncpg.Record | None:
    """A tenant's row; ``lock`` makes whoever counts its users wait."""
    query = "SELECT tenant_id, name, max_users, retired_at FROM identity.tenants WHERE tenant_id = $1"
    return await connection.fetchrow(query + (" FOR UPDATE" if lock else ""), tenant_id)


async def retire(connection: asyncpg.Connection, tenant_id: str) -> None:
    """Keep the tenant's users, end their sessions, and leave the name to others."""
    await connection.execute(
        "UPDATE identity.tenants SET name = name || '.' || tenant_id, retired_at = now()"
        " WHERE tenant_id = $1 AND retired_at IS NULL",
        tenant_id,
    )
    await connection.execute(
        "DELETE FROM identity.refresh_tokens t USING identity.users u WHERE u.id = t.user_id AND u.tenant_id = $1",
        tenant_id,
    )


async def add_refresh(
    connection: Connection, token_hash: bytes, family: uuid.UUID, user_id: uuid.UUID, expires_at: datetime
) -> None:
    """Remember a refresh token by its hash."""
    await connection.execute(
        "INSERT INTO identity.refresh_tokens (token_hash, family, user_id, expires_at) VALUES ($1, $2, $3, $4)",
        token_hash,
        family,
        user_id,
        expires_at,
    )


async def revoke_user(connection: Connection, user_id: uuid.UUID) -> None:
    """End every session of a user."""
    await connection.execute("DELETE FROM identity.refresh_tokens WHERE user_id = $1", user_id)
