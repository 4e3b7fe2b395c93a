"""gRPC surface of identity. Callers that act for a user show that user's token."""

from __future__ import annotations

import json
from typing import Any

import grpc
from pydantic import ValidationError
from voicehelper_core.auth import TokenVerifier, bearer
from voicehelper_core.errors import InvalidArgument
from voicehelper_core.gen.identity.v1 import identity_pb2, identity_pb2_grpc

from voicehelper_control_plane.identity.models import User, UserChange
from voicehelper_control_plane.identity.service import UserService
from voicehelper_control_plane.identity.sessions import Sessions
from voicehelper_control_plane.principal import ROLES, Principal
from voicehelper_control_plane.tenants.service import TenantService, shown


class IdentityServicer(identity_pb2_grpc.IdentityServiceServicer):
    """Delegates to the services."""

    def __init__(self, sessions: Sessions, users: UserService, tenants: TenantService, verifier: TokenVerifier) -> None:
        self._sessions, self._users, self._tenants, self._verifier = sessions, users, tenants, verifier

    async def _who(self, call: grpc.aio.ServicerContext) -> Principal:
        metadata = dict(call.invocation_metadata() or ())
        claims = await self._verifier.verify(bearer(str(metadata.get("authorization", ""))))
        return Principal.of(claims, str(metadata.get("x-request-id", ""))[:128])

    async def Login(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Tokens for tenant, email and password."""
        return _pair(await self._sessions.login(request.tenant, request.email, request.password, call.peer()))

    async def Logout(self, request: Any, _: Any) -> Any:
        """End the session."""
        await self._sessions.logout(request.refresh_token)
        return identity_pb2.LogoutResponse()

    async def RefreshToken(self, request: Any, _: Any) -> Any:
        """A new pair of tokens."""
        return _pair(await self._sessions.refresh(request.refresh_token))

    async def VerifyToken(self, request: Any, _: Any) -> Any:
        """What a token says. Raises UNAUTHENTICATED."""
        claims = await self._verifier.verify(request.access_token)
        return identity_pb2.Claims(
            tenant=claims.tenant,
            tenant_id=claims.tid or "",
            user_id=claims.sub,
            roles=claims.roles,
            scopes=claims.scopes,
            expires_at=claims.exp,
        )

    async def GetUser(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """One user."""
        return _user(await self._users.get(await self._who(call), request.user_id))

    async def UpdateUser(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Name and password; empty fields stay."""
        given = {"display_name": request.display_name, "password": request.password}
        try:
            change = UserChange.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidArgument(f"{first['loc'][0]}: {first['msg']}") from None
        return _user(await self._users.update(await self._who(call), request.user_id, change))

    async def DeleteUser(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Remove a user."""
        await self._users.delete(await self._who(call), request.user_id)
        return identity_pb2.DeleteUserResponse()

    async def CreateTenant(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Create a Tenant resource."""
        spec = _object(request.spec_json, "spec_json")
        return _tenant(await self._tenants.create(await self._who(call), request.name, spec, {}))

    async def GetTenant(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """A Tenant resource."""
        return _tenant(await self._tenants.get(await self._who(call), request.name))

    async def UpdateTenantQuota(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Change the quota overrides."""
        quota = _object(request.quota_json, "quota_json")
        return _tenant(await self._tenants.update_quota(await self._who(call), request.name, quota))

    async def CheckPermission(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Whether a user may do something."""
        who = await self._who(call)
        allowed, reason = await self._users.allowed(who, request.user_id, request.resource, request.action)
        return identity_pb2.CheckPermissionResponse(allowed=allowed, reason=reason)

    async def AssignRole(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Give a user a role."""
        if request.role not in ROLES:
            raise InvalidArgument(f"role: one of {', '.join(ROLES)}")
        return _user(await self._users.assign_role(await self._who(call), request.user_id, request.role))


def _object(text: str, field: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidArgument(f"{field}: send a JSON object")
    return value


def _pair(pair: Any) -> Any:
    return identity_pb2.TokenPair(
        access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in
    )


def _user(user: User) -> Any:
    return identity_pb2.User(
        id=str(user.id),
        tenant=user.tenant,
        email=user.email,
        display_name=user.display_name,
        roles=user.roles,
        created_at=user.created_at.isoformat(),
    )


def _tenant(tenant: Any) -> Any:
    document = shown(tenant)
    return identity_pb2.Tenant(
        name=tenant.metadata.name,
        tenant_id=tenant.status.tenant_id or "",
        spec_json=json.dumps(document["spec"]),
        status_json=json.dumps(document.get("status", {})),
        generation=tenant.metadata.generation or 0,
    )
