"""What the HTTP handlers share: the verified caller, the services, the bounds of lists."""

from __future__ import annotations

from typing import Annotated, Any

import asyncpg
from fastapi import Depends, Query, Request
from voicehelper_core.auth import bearer

from voicehelper_control_plane.pagination import MAX_LIMIT
from voicehelper_control_plane.principal import Principal


async def _caller(request: Request) -> Principal:
    token = bearer(request.headers.get("authorization"))
    claims = await request.app.state.verifier.verify(token)
    who: Principal = await request.app.state.users.admit(claims, request.state.request_id)
    return who


async def _pool(request: Request) -> Any:
    return request.app.state.pool


def remote(request: Request) -> str:
    """The client's address: what the router appended last, or the peer itself."""
    forwarded = request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
    return forwarded or (request.client.host if request.client else "?")


Caller = Annotated[Principal, Depends(_caller)]
Pool = Annotated[asyncpg.Pool, Depends(_pool)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str, Query(max_length=500)]
