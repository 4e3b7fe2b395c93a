"""Users of tenants: who may see, make and change whom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import asyncpg
from voicehelper_core.auth import Claims
from voicehelper_core.errors import NotFound, PermissionDenied, QuotaExceeded, Unauthenticated, Unprocessable
from voicehelper_core.names import PUBLIC_TENANT

from voicehelper_control_plane.audit import repository as audit
from voicehelper_control_plane.identity import repository
from voicehelper_control_plane.identity.models import NewUser, User, UserChange, Users
from voicehelper_control_plane.identity.passwords import Passwords
from voicehelper_control_plane.principal import MEMBER, PLATFORM_ADMIN, TENANT_ADMIN, Principal

_ACTIONS = {
    "users": {"read": {TENANT_ADMIN, MEMBER}, "write": {TENANT_ADMIN}},
    "tenant": {"read": {TENANT_ADMIN}, "write": set[str]()},
    "conversations": {"read": {TENANT_ADMIN, MEMBER}, "write": {TENANT_ADMIN, MEMBER}},
    "knowledge": {"read": {TENANT_ADMIN, MEMBER}, "write": {TENANT_ADMIN, MEMBER}},
    "usage": {"read": {TENANT_ADMIN, MEMBER}, "write": set[str]()},
}


def shown(row: asyncpg.Record) -> User:
    """A user without the hash."""
    return User(**{key: value for key, value in row.items() if key in User.model_fields})


@dataclass(frozen=True, slots=True)
class UserService:
    """Works in the caller's tenant; ids of other tenants' users are not found."""

    pool: asyncpg.Pool
    passwords: Passwords

    async def admit(self, claims: Claims, request_id: str = "") -> Principal:
        """The caller with the roles that it still has: what an admin took away counts at once, here.

        Raises Unauthenticated for a user who is gone or disabled, PermissionDenied for service tokens.
        """
        who = Principal.of(claims, request_id)
        try:
            row = await repository.by_id(self.pool, who.user_id, who.tenant_id)
        except NotFound:
            row = None
        # A token whose name and id are of different tenants is refused here as it is by cells.
        if row is None or row["status"] != "active" or row["tenant"] != who.tenant:
            raise Unauthenticated("the user is gone or disabled")
        return replace(who, roles=who.roles & frozenset(row["roles"]))

    async def get(self, who: Principal, user_id: str) -> User:
        """Oneself, or any user of the tenant for its admins."""
        row = await repository.by_id(self.pool, user_id, _scope(who))
        if str(row["id"]) != who.user_id:
            who.require_admin_of(row["tenant_id"])
        return shown(row)

    async def listing(self, who: Principal, limit: int, cursor: str) -> Users:
        """Users of the caller's tenant. Raises PermissionDenied, InvalidArgument."""
        who.require_admin_of(who.tenant_id)
        rows, following = await repository.listing(self.pool, who.tenant_id, limit, cursor)
        return Users(items=[shown(row) for row in rows], next_cursor=following)

    async def create(self, who: Principal, body: NewUser) -> User:
        """Raises PermissionDenied, Conflict, QuotaExceeded, Unprocessable."""
        who.require_admin_of(who.tenant_id)
        _fits(body.role, who.tenant_id)
        hashed = await self.passwords.hash(body.password)
        async with self.pool.acquire() as connection, connection.transaction():
            tenant = await repository.tenant(connection, who.tenant_id, lock=True)
            if tenant is None:
                raise PermissionDenied("the tenant is gone")
            if await repository.count(connection, who.tenant_id) >= tenant["max_users"]:
                raise QuotaExceeded(f"the tenant may have {tenant['max_users']} users: raise spec.quota.users")
            user_id = await repository.add(
                connection,
                who.tenant_id,
                body.email,
                display_name=body.display_name,
                password_hash=hashed,
                role=body.role,
            )
            await audit.record(
                connection, who, "user.create", f"user/{user_id}", tenant_id=who.tenant_id, role=body.role
            )
            return shown(await repository.by_id(connection, str(user_id), who.tenant_id))

    async def update(self, who: Principal, user_id: str, body: UserChange) -> User:
        """One's own name and password; everything for admins. A new password or a disabling ends all sessions."""
        hashed = await self.passwords.hash(body.password) if body.password else None
        async with self.pool.acquire() as connection, connection.transaction():
            row = await repository.by_id(connection, user_id, _scope(who))
            own = str(row["id"]) == who.user_id
            if not own or body.status is not None:
                who.require_admin_of(row["tenant_id"])
            if own and body.status == "disabled":
                raise Unprocessable("nobody can disable themselves: ask another admin")
            await repository.change(
                connection, row["id"], display_name=body.display_name, password_hash=hashed, status=body.status
            )
            if hashed or body.status == "disabled":
                await repository.revoke_user(connection, row["id"])
            await audit.record(
                connection, who, "user.update", f"user/{row['id']}", tenant_id=row["tenant_id"],
                fields=sorted(body.model_fields_set),
            )  # fmt: skip
            return shown(await repository.by_id(connection, user_id, _scope(who)))

    async def delete(self, who: Principal, user_id: str) -> None:
        """Raises PermissionDenied, NotFound, Unprocessable."""
        async with self.pool.acquire() as connection, connection.transaction():
            row = await repository.by_id(connection, user_id, _scope(who))
            who.require_admin_of(row["tenant_id"])
            if str(row["id"]) == who.user_id:
                raise Unprocessable("nobody can delete themselves: ask another admin")
            await connection.execute("DELETE FROM identity.users WHERE id = $1", row["id"])
            await audit.record(connection, who, "user.delete", f"user/{row['id']}", tenant_id=row["tenant_id"])

    async def assign_role(self, who: Principal, user_id: str, role: str) -> User:
        """Make it the user's role. Raises PermissionDenied, NotFound, Unprocessable."""
        async with self.pool.acquire() as connection, connection.transaction():
            row = await repository.by_id(connection, user_id, _scope(who))
            who.require_admin_of(row["tenant_id"])
            _fits(role, row["tenant_id"])
            if str(row["id"]) == who.user_id:
                raise Unprocessable("nobody can change their own role: ask another admin")
            await connection.execute("DELETE FROM identity.user_roles WHERE user_id = $1", row["id"])
            await connection.execute("INSERT INTO identity.user_roles (user_id, role) VALUES ($1, $2)", row["id"], role)
            await repository.revoke_user(connection, row["id"])
            await audit.record(connection, who, "user.role", f"user/{row['id']}", tenant_id=row["tenant_id"], role=role)
            return shown(await repository.by_id(connection, user_id, _scope(who)))

    async def allowed(self, who: Principal, user_id: str, resource: str, action: str) -> tuple[bool, str]:
        """Whether a user may do something, and why."""
        user = await self.get(who, user_id)
        if user.status != "active":
            return False, "the user is disabled"
        if PLATFORM_ADMIN in user.roles:
            return True, "the platform's admins may do everything"
        permitted = _ACTIONS.get(resource, {}).get(action)
        if permitted is None:
            return False, f"nothing allows '{action}' on '{resource}'"
        held = permitted & set(user.roles)
        if held:
            return True, f"by the role {sorted(held)[0]}"
        return False, f"needs one of the roles {', '.join(sorted((*permitted, PLATFORM_ADMIN)))}"


def _scope(who: Principal) -> str | None:
    return None if who.is_platform_admin else who.tenant_id


def _fits(role: str, tenant_id: str) -> None:
    """Platform roles live outside of tenants, tenant roles inside. Raises Unprocessable."""
    if (role == PLATFORM_ADMIN) is not (tenant_id == PUBLIC_TENANT):
        raise Unprocessable(f"the role '{role}' does not exist in this tenant")
