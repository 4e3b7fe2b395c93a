"""``/api/v1/identity``: login, users, keys and discovery."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from voicehelper_control_plane.identity.models import (
    Login,
    NewUser,
    Refresh,
    RoleChange,
    TokenPair,
    User,
    UserChange,
    Users,
)
from voicehelper_control_plane.web import Caller, Cursor, Limit, remote

auth = APIRouter(tags=["auth"])
users = APIRouter(tags=["users"])
discovery = APIRouter(tags=["discovery"])


@auth.post("/login")
async def login(body: Login, request: Request) -> TokenPair:
    """Tokens for tenant, email and password; the tenant of the platform's admins is ``_public``."""
    sessions = request.app.state.sessions
    pair: TokenPair = await sessions.login(
        body.tenant, body.email, body.password, remote(request), request.state.request_id
    )
    return pair


@auth.post("/refresh")
async def refresh(body: Refresh, request: Request) -> TokenPair:
    """A new pair for a refresh token, which is spent by that."""
    pair: TokenPair = await request.app.state.sessions.refresh(body.refresh_token, request.state.request_id)
    return pair


@auth.post("/logout", status_code=204)
async def logout(body: Refresh, request: Request) -> Response:
    """End the session of a refresh token."""
    await request.app.state.sessions.logout(body.refresh_token, request.state.request_id)
    return Response(status_code=204)


@users.get("/me")
async def me(who: Caller, request: Request) -> User:
    """The caller."""
    user: User = await request.app.state.users.get(who, who.user_id)
    return user


@users.get("/users")
async def listing(who: Caller, request: Request, limit: Limit = 50, cursor: Cursor = "") -> Users:
    """Users of the caller's tenant."""
    found: Users = await request.app.state.users.listing(who, limit, cursor)
    return found


@users.post("/users", status_code=201)
async def create(who: Caller, body: NewUser, request: Request) -> User:
    """Make a user."""
    user: User = await request.app.state.users.create(who, body)
    return user


@users.get("/users/{user_id}")
async def get(who: Caller, user_id: str, request: Request) -> User:
    """One user."""
    user: User = await request.app.state.users.get(who, user_id)
    return user


@users.patch("/users/{user_id}")
async def update(who: Caller, user_id: str, body: UserChange, request: Request) -> User:
    """Change a user."""
    user: User = await request.app.state.users.update(who, user_id, body)
    return user


@users.put("/users/{user_id}/role")
async def assign_role(who: Caller, user_id: str, body: RoleChange, request: Request) -> User:
    """Give a user a role instead of the one it has."""
    user: User = await request.app.state.users.assign_role(who, user_id, body.role)
    return user


@users.delete("/users/{user_id}", status_code=204)
async def delete(who: Caller, user_id: str, request: Request) -> Response:
    """Remove a user."""
    await request.app.state.users.delete(who, user_id)
    return Response(status_code=204)


@discovery.get("/.well-known/jwks.json")
async def jwks(request: Request) -> dict[str, Any]:
    """The public keys."""
    keys: dict[str, Any] = request.app.state.signer.public()
    return keys


@discovery.get("/.well-known/openid-configuration")
async def openid(request: Request) -> dict[str, Any]:
    """OpenID Connect discovery."""
    url = request.app.state.settings.public_url.rstrip("/")
    return {
        "issuer": "voicehelper",
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "token_endpoint": f"{url}/api/v1/identity/login",
        "userinfo_endpoint": f"{url}/api/v1/identity/me",
        "end_session_endpoint": f"{url}/api/v1/identity/logout",
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "grant_types_supported": ["password", "refresh_token"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "claims_supported": ["iss", "aud", "sub", "tenant", "tid", "roles", "scopes", "iat", "exp", "jti"],
    }
