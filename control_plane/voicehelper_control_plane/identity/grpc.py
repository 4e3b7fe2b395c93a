"""gRPC surface of identity. Callers that act for a user show that user's token."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import grpc
from pydantic import BaseModel, ValidationError
from voicehelper_core.auth import TokenVerifier, bearer
from voicehelper_core.errors import InvalidArgument
from voicehelper_core.gen.identity.v1 import identity_pb2, identity_pb2_grpc

from voicehelper_control_plane.identity.models import Login, User, UserChange
from voicehelper_control_plane.identity.service import UserService
from voicehelper_control_plane.identity.sessions import Sessions
from voicehelper_control_plane.principal import ROLES, Principal
from voicehelper_control_plane.tenants.models import NewTenant, Quota
from voicehelper_control_plane.tenants.service import TenantService, shown

_M = TypeVar("_M", bound=BaseModel)


class IdentityServicer(identity_pb2_grpc.IdentityServiceServicer):
    """Delegates to the services."""

    def __init__(self, sessions: Sessions, users: UserService, tenants: TenantService, verifier: TokenVerifier) -> None:
        self._sessions, self._users, self._tenants, self._verifier = sessions, users, tenants, verifier

    async def _who(self, call: grpc.aio.ServicerContext) -> Principal:
        claims = await self._verifier.verify(bearer(_metadata(call, "authorization")))
        return await self._users.admit(claims, _metadata(call, "x-request-id")[:128])

    async def Login(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Tokens for tenant, email and password."""
        address = _metadata(call, "x-forwarded-for").rsplit(",", 1)[-1].strip() or None
        given = _checked(Login, {name: getattr(request, name) for name in ("tenant", "email", "password")})
        request_id = _metadata(call, "x-request-id")[:128]
        return _pair(await self._sessions.login(given.tenant, given.email, given.password, address, request_id))

    async def Logout(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """End the session."""
        await self._sessions.logout(request.refresh_token, _metadata(call, "x-request-id")[:128])
        return identity_pb2.LogoutResponse()

    async def RefreshToken(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """A new pair of tokens."""
        return _pair(await self._sessions.refresh(request.refresh_token, _metadata(call, "x-request-id")[:128]))

    async def VerifyToken(self, request: Any, _: Any) -> Any:
        """What a token says. Raises UNAUTHENTICATED, also for a user who is gone or disabled."""
        claims = await self._verifier.verify(request.access_token)
        if "service" not in claims.roles:
            await self._users.admit(claims)
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
        who = await self._who(call)
        given = {"display_name": request.display_name, "password": request.password}
        change = _checked(UserChange, {name: value for name, value in given.items() if value})
        return _user(await self._users.update(who, request.user_id, change))

    async def DeleteUser(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Remove a user."""
        await self._users.delete(await self._who(call), request.user_id)
        return identity_pb2.DeleteUserResponse()

    async def CreateTenant(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Create a Tenant resource."""
        who = await self._who(call)
        body = _checked(NewTenant, {"name": request.name, "spec": _object(request.spec_json, "spec_json")})
        return _tenant(await self._tenants.create(who, body.manifest()))

    async def GetTenant(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """A Tenant resource."""
        return _tenant(await self._tenants.get(await self._who(call), request.name))

    async def UpdateTenantQuota(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Change the quota overrides."""
        who = await self._who(call)
        quota = _checked(Quota, _object(request.quota_json, "quota_json"))
        return _tenant(await self._tenants.update_quota(who, request.name, quota))

    async def CheckPermission(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Whether a user may do something."""
        who = await self._who(call)
        allowed, reason = await self._users.allowed(who, request.user_id, request.resource, request.action)
        return identity_pb2.CheckPermissionResponse(allowed=allowed, reason=reason)

    async def AssignRole(self, request: Any, call: grpc.aio.ServicerContext) -> Any:
        """Give a user a role."""
        who = await self._who(call)
        if request.role not in ROLES:
            raise InvalidArgument(f"role: one of {', '.join(ROLES)}")
        return _user(await self._users.assign_role(who, request.user_id, request.role))


def _metadata(call: grpc.aio.ServicerContext, name: str) -> str:
    value = dict(call.invocation_metadata() or ()).get(name, "")
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _checked(model: type[_M], given: dict[str, Any]) -> _M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidArgument(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _object(text: str, field: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
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
