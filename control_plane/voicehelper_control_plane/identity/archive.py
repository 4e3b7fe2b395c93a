"""The users of a tenant as its archive has them: out of identity, and into it under another tenant."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from voicehelper_core.errors import Conflict, InvalidArgument
from voicehelper_core.gen.identity.v1 import provisioning_pb2

from voicehelper_control_plane.principal import MEMBER, TENANT_ADMIN

_QUERY = (
    "SELECT u.id, u.email, u.display_name, u.password_hash, u.status, u.created_at,"
    " COALESCE(array_agg(r.role ORDER BY r.role) FILTER (WHERE r.role IS NOT NULL), '{}') AS roles"
    " FROM identity.users u LEFT JOIN identity.user_roles r ON r.user_id = u.id"
    " WHERE u.tenant_id = $1 GROUP BY u.id ORDER BY u.created_at, u.id"
)


async def exported(connection: asyncpg.Connection, tenant_id: str) -> AsyncIterator[Any]:
    """All users, also of a tenant that was retired."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(_QUERY, tenant_id):
            yield provisioning_pb2.ArchivedUser(
                id=str(row["id"]),
                email=row["email"],
                display_name=row["display_name"],
                password_hash=row["password_hash"],
                status=row["status"],
                roles=row["roles"],
                created_at=row["created_at"].isoformat(),
            )


async def replace(connection: asyncpg.Connection, tenant_id: str, users: Sequence[Any]) -> dict[str, str]:
    """The tenant has these users and no others; new ids of those whose id another tenant's user has.

    A new id follows from the tenant and the old one, so that a second try gives the same. Raises InvalidArgument,
    Conflict.
    """
    await connection.execute("DELETE FROM identity.users WHERE tenant_id = $1", tenant_id)
    ids = [_uuid(user.id) for user in users]
    taken = {row["id"] for row in await connection.fetch("SELECT id FROM identity.users WHERE id = ANY($1)", ids)}
    new = {old: uuid.uuid5(old, tenant_id) if old in taken else old for old in ids}
    try:
        await connection.executemany(
            "INSERT INTO identity.users (id, tenant_id, email, display_name, password_hash, status, created_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                (new[_uuid(u.id)], tenant_id, u.email, u.display_name, u.password_hash, u.status, _time(u.created_at))
                for u in users
            ],
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("two users of the archive have the same id or address") from None
    except asyncpg.IntegrityConstraintViolationError as error:
        raise InvalidArgument(f"a user of the archive cannot be stored: {error}") from None
    # A platform's role would open the platform: whatever an archive says, its users have roles of tenants only.
    roles = [(new[_uuid(u.id)], role) for u in users for role in u.roles if role in (TENANT_ADMIN, MEMBER)]
    await connection.executemany("INSERT INTO identity.user_roles (user_id, role) VALUES ($1, $2)", roles)
    return {str(old): str(here) for old, here in new.items() if old != here}


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidArgument(f"a user's id is no UUID: {text[:50]!r}") from None


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"a user's time of creation cannot be read: {text[:50]!r}") from None
