"""Client of identity's provisioning API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from voicehelper_core.errors import from_grpc
from voicehelper_core.gen.identity.v1 import provisioning_pb2, provisioning_pb2_grpc
from voicehelper_core.grpc_service import channel

_SECONDS = 15


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
