"""What the operator asks of identity: a tenant with its first admin, its end, a token for the routed probe."""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
from pydantic import TypeAdapter, ValidationError
from voicehelper_core import faults, names
from voicehelper_core.archive.manifest import RESTORING
from voicehelper_core.errors import InvalidArgument, NotFound, PermissionDenied
from voicehelper_core.gen.identity.v1 import provisioning_pb2, provisioning_pb2_grpc
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Tenant

from voicehelper_control_plane.audit import repository as audit
from voicehelper_control_plane.identity import archive, repository
from voicehelper_control_plane.identity.models import Email, Password
from voicehelper_control_plane.identity.passwords import Passwords
from voicehelper_control_plane.identity.sessions import Sessions
from voicehelper_control_plane.principal import TENANT_ADMIN

KEY_HEADER = "x-provisioning-key"
SCOPES = ("probe",)
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


class ProvisioningServicer(provisioning_pb2_grpc.ProvisioningServiceServicer):
    """Every call shows the provisioning key."""

    def __init__(
        self, pool: asyncpg.Pool, store: ResourceStore, sessions: Sessions, passwords: Passwords, key: str
    ) -> None:
        self._pool, self._store, self._sessions, self._passwords, self._key = pool, store, sessions, passwords, key

    async def EnsureTenant(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Idempotent. The admin is known by its role and address; its password is set once and never again."""
        self._check(call)
        tenant_id = _tenant_id(request.tenant_id)
        email = _valid(Email, request.admin_email, "admin_email")
        async with self._pool.acquire() as connection, connection.transaction():
            await self._tenant(connection, tenant_id, request.name, request.max_users)
            user = await repository.by_email(connection, request.name, email)
            if user is None:
                password = _valid(Password, request.admin_password, "admin_password")
                hashed = await self._passwords.hash(password)
                user_id = await repository.add(
                    connection,
                    tenant_id,
                    email,
                    display_name=request.admin_display_name[:200].replace("\0", ""),
                    password_hash=hashed,
                    role=TENANT_ADMIN,
                )
                await audit.record(
                    connection, None, "user.create", f"user/{user_id}", tenant_id=tenant_id, role=TENANT_ADMIN
                )
                user = await repository.by_email(connection, request.name, email)
            users = await repository.count(connection, tenant_id)
            await faults.point("identity.provision.before")
        await faults.point("identity.provision.recorded")
        problem = _problem(user)
        return provisioning_pb2.EnsureTenantResponse(admin_ready=problem is None, message=problem or "", users=users)

    async def _tenant(self, connection: asyncpg.Connection, tenant_id: str, name: str, max_users: int) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidArgument("name: a DNS label without dots, 63 characters at most")
        known = await repository.tenant(connection, tenant_id, lock=True)
        if known is None or known["name"] != name:
            # The name may still belong to a tenant of the past that was kept: the newest one has it.
            holder = await connection.fetchval("SELECT tenant_id FROM identity.tenants WHERE name = $1", name)
            if holder:
                await repository.retire(connection, holder)
                await audit.record(connection, None, "tenant.retire", f"tenant/{name}", tenant_id=holder)
        if known is None:
            await connection.execute(
                "INSERT INTO identity.tenants (tenant_id, name, max_users) VALUES ($1, $2, $3)",
                tenant_id,
                name,
                max_users or 100,
            )
            await audit.record(connection, None, "tenant.create", f"tenant/{name}", tenant_id=tenant_id)
        elif known["name"] != name or (max_users and known["max_users"] != max_users):
            await connection.execute(
                "UPDATE identity.tenants SET name = $2, retired_at = NULL, max_users = $3 WHERE tenant_id = $1",
                tenant_id,
                name,
                max_users or known["max_users"],
            )
            await audit.record(
                connection, None, "tenant.update", f"tenant/{name}", tenant_id=tenant_id, max_users=max_users
            )

    async def RemoveTenant(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Users, roles and sessions go with the tenant where its deletion policy says so; the audit log stays.

        Otherwise the users are kept under the tenant's id, without sessions and without a way to log in.
        """
        self._check(call)
        tenant_id = _tenant_id(request.tenant_id)
        async with self._pool.acquire() as connection, connection.transaction():
            known = await repository.tenant(connection, tenant_id, lock=True)
            if known is not None and await self._may_delete(known["name"], tenant_id):
                await connection.execute("DELETE FROM identity.tenants WHERE tenant_id = $1", tenant_id)
                await audit.record(connection, None, "tenant.remove", f"tenant/{known['name']}", tenant_id=tenant_id)
            elif known is not None and known["retired_at"] is None:
                await repository.retire(connection, tenant_id)
                await audit.record(connection, None, "tenant.retire", f"tenant/{known['name']}", tenant_id=tenant_id)
            await faults.point("identity.remove.before")
        await faults.point("identity.remove.recorded")
        return provisioning_pb2.RemoveTenantResponse()

    async def _may_delete(self, name: str, tenant_id: str) -> bool:
        """By the policy; with ``Archive`` once the operator has said that there is a verified archive."""
        try:
            tenant = await self._store.get(Tenant, name.removesuffix(f".{tenant_id}"))  # a retired one's is longer
        except NotFound:
            return False
        if tenant.status.tenant_id != tenant_id:
            return False
        policy = tenant.spec.deletion.policy
        archived = any(item.type == "Archived" and item.status == "True" for item in tenant.status.conditions)
        leaving = tenant.metadata.deletion_timestamp is not None
        return policy == "Delete" or (policy == "Archive" and archived and leaving)

    async def ExportUsers(self, request: Any, call: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        """All that is needed to log in as before, password hashes included."""
        self._check(call)
        tenant_id = _tenant_id(request.tenant_id)
        await audit.record(self._pool, None, "users.export", f"tenant/{tenant_id}", tenant_id=tenant_id)
        async with self._pool.acquire() as connection:
            async for user in archive.exported(connection, tenant_id):
                yield user

    async def ImportUsers(self, requests: AsyncIterator[Any], call: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        """In one transaction. Refused for a tenant that is not being restored: its own users would go."""
        self._check(call)
        tenant_id, name, users = "", "", []
        async for request in requests:
            tenant_id, name = _tenant_id(request.tenant_id), request.tenant
            if request.HasField("user"):
                users.append(request.user)
        if not tenant_id or not await self._is_restored(name, tenant_id):
            raise PermissionDenied(f"tenant/{name[:100]} is not being restored from an archive")
        async with self._pool.acquire() as connection, connection.transaction():
            if await repository.tenant(connection, tenant_id, lock=True) is None:
                raise NotFound(f"no tenant with the id {tenant_id}")
            renamed = await archive.replace(connection, tenant_id, users)
            await audit.record(
                connection, None, "users.import", f"tenant/{name}", tenant_id=tenant_id, users=len(users)
            )
            await faults.point("identity.users.before")
        await faults.point("identity.users.recorded")
        for old, new in renamed.items():
            yield provisioning_pb2.RenamedUser(id=old, new_id=new)

    async def _is_restored(self, name: str, tenant_id: str) -> bool:
        try:
            tenant = await self._store.get(Tenant, name)
        except NotFound:
            return False
        restoring = RESTORING in tenant.metadata.annotations and tenant.spec.suspended
        return restoring and tenant.status.tenant_id == tenant_id

    async def IssueServiceToken(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """A token for one purpose."""
        self._check(call)
        if request.scope not in SCOPES:
            raise InvalidArgument(f"scope: one of {', '.join(SCOPES)}")
        if not _NAME.fullmatch(request.tenant):
            raise InvalidArgument("tenant: a DNS label without dots, 63 characters at most")
        token, ends = self._sessions.service_token(request.tenant, _tenant_id(request.tenant_id), request.scope)
        return provisioning_pb2.IssueServiceTokenResponse(access_token=token, expires_at=ends)

    def _check(self, call: grpc.aio.ServicerContext) -> None:
        shown = dict(call.invocation_metadata() or ()).get(KEY_HEADER, "")
        if not self._key or not hmac.compare_digest(str(shown).encode(), self._key.encode()):
            raise PermissionDenied(f"show the provisioning key in the metadata '{KEY_HEADER}'")


def _tenant_id(text: str) -> str:
    try:
        return names.checked(text)
    except ValueError:
        raise InvalidArgument("tenant_id: 12 characters of [a-z0-9], a letter first") from None


def _valid(kind: Any, value: str, field: str) -> str:
    try:
        checked: str = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise InvalidArgument(f"{field}: {error.errors()[0]['msg']}") from None
    return checked


def _problem(user: asyncpg.Record | None) -> str | None:
    """Why the admin cannot log in."""
    if user is None:
        return "the admin does not exist"
    if user["status"] != "active":
        return "the admin is disabled"
    return None if TENANT_ADMIN in user["roles"] else "the admin lacks the role tenant-admin"
