"""Client of identity's provisioning API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from voicehelper_core.errors import from_grpc
from voicehelper_core.gen.identity.v1 import provisioning_pb2, provisioning_pb2_grpc
from voicehelper_core.grpc_service import channel

_SECONDS, _USERS_SECONDS = 15, 300
_USER = ("id", "email", "display_name", "password_hash", "status", "created_at")


@dataclass(frozen=True, slots=True)
class AdminState:
    """Whether the tenant's admin can log in, and how many users the tenant has."""

    ready: bool
    message: str
    users: int


@dataclass(frozen=True, slots=True)
class Admin:
    """The first user of a tenant."""

    email: str
    display_name: str
    password: str


class Identity(Protocol):
    """What the operator asks of identity. Raises errors.AppError."""

    async def ensure_tenant(self, name: str, tenant_id: str, admin: Admin, max_users: int) -> AdminState:
        """Make the tenant and its admin where they are missing."""
        ...

    async def remove_tenant(self, tenant_id: str) -> None:
        """Remove its users."""
        ...

    async def service_token(self, name: str, tenant_id: str, scope: str) -> str:
        """A short-lived token with one scope."""
        ...


class IdentityUsers(Protocol):
    """What archives need of identity. Raises errors.AppError."""

    def export_users(self, tenant_id: str) -> AsyncIterator[dict[str, Any]]:
        """All users of a tenant, with their password hashes."""
        ...

    async def import_users(self, name: str, tenant_id: str, users: Sequence[dict[str, Any]]) -> dict[str, str]:
        """Replace the users of a tenant that is being restored; new ids of those whose id was taken."""
        ...


class GrpcIdentity:
    """Over gRPC, with the provisioning key."""

    def __init__(self, address: str, key: str) -> None:
        self._channel = channel(address)
        self._stub = provisioning_pb2_grpc.ProvisioningServiceStub(self._channel)
        self._metadata = (("x-provisioning-key", key),)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            return await method(request, metadata=self._metadata, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise from_grpc(error) from None

    async def ensure_tenant(self, name: str, tenant_id: str, admin: Admin, max_users: int) -> AdminState:
        answer = await self._call(
            self._stub.EnsureTenant,
            provisioning_pb2.EnsureTenantRequest(
                name=name,
                tenant_id=tenant_id,
                admin_email=admin.email,
                admin_display_name=admin.display_name,
                admin_password=admin.password,
                max_users=max_users,
            ),
        )
        return AdminState(answer.admin_ready, answer.message, answer.users)

    async def remove_tenant(self, tenant_id: str) -> None:
        await self._call(self._stub.RemoveTenant, provisioning_pb2.RemoveTenantRequest(tenant_id=tenant_id))

    async def service_token(self, name: str, tenant_id: str, scope: str) -> str:
        request = provisioning_pb2.IssueServiceTokenRequest(tenant=name, tenant_id=tenant_id, scope=scope)
        answer = await self._call(self._stub.IssueServiceToken, request)
        return str(answer.access_token)

    async def export_users(self, tenant_id: str) -> AsyncIterator[dict[str, Any]]:
        request = provisioning_pb2.ExportUsersRequest(tenant_id=tenant_id)
        try:
            async for user in self._stub.ExportUsers(request, metadata=self._metadata, timeout=_USERS_SECONDS):
                yield {name: getattr(user, name) for name in _USER} | {"roles": list(user.roles)}
        except grpc.RpcError as error:
            raise from_grpc(error) from None

    async def import_users(self, name: str, tenant_id: str, users: Sequence[dict[str, Any]]) -> dict[str, str]:
        async def requests() -> AsyncIterator[Any]:
            yield provisioning_pb2.ImportUsersRequest(tenant_id=tenant_id, tenant=name)
            for user in users:
                archived = provisioning_pb2.ArchivedUser(**user)
                yield provisioning_pb2.ImportUsersRequest(tenant_id=tenant_id, tenant=name, user=archived)

        renamed = {}
        try:
            call = self._stub.ImportUsers(requests(), metadata=self._metadata, timeout=_USERS_SECONDS)
            async for user in call:
                renamed[user.id] = user.new_id
        except grpc.RpcError as error:
            raise from_grpc(error) from None
        return renamed
