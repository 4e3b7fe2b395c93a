"""``/api/v1/identity/tenants``."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from voicehelper_core.errors import AppError

from voicehelper_control_plane.tenants.archives import Event, Wishes
from voicehelper_control_plane.tenants.models import Creation, Quota
from voicehelper_control_plane.tenants.service import shown
from voicehelper_control_plane.web import Caller, Cursor, Limit

router = APIRouter(tags=["tenants"])
Wish = Annotated[str, Query(max_length=253)]


@router.post("/tenants", status_code=202)
async def create(who: Caller, body: Creation, request: Request) -> dict[str, Any]:
    """Create a Tenant resource; the operator does the rest, and GET shows how far it is."""
    return shown(await request.app.state.tenants.create(who, body.manifest()))


@router.get("/tenants")
async def listing(who: Caller, request: Request, limit: Limit = 50, cursor: Cursor = "") -> dict[str, Any]:
    """All tenants by name."""
    items, following = await request.app.state.tenants.listing(who, limit, cursor)
    return {"items": [shown(item) for item in items], "next_cursor": following}


@router.get("/tenants/{name}")
async def get(who: Caller, name: str, request: Request) -> dict[str, Any]:
    """Spec and status of one tenant."""
    return shown(await request.app.state.tenants.get(who, name))


@router.get("/tenants/{name}/export", response_class=StreamingResponse)
async def export(who: Caller, name: str, request: Request) -> StreamingResponse:
    """The archive of a tenant that lives: a backup. One that ends without its manifest is none."""
    content = request.app.state.archives.export(who, name)
    first = await anext(content)  # what is refused is refused before the answer begins
    return StreamingResponse(_continued(first, content), media_type="application/gzip")


async def _continued(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


@router.post("/tenants/import", response_class=StreamingResponse)
async def restore(
    who: Caller, request: Request, name: Wish = "", cell: Wish = "", plan: Wish = ""
) -> StreamingResponse:
    """Make a tenant of the archive in the body. Lines of JSON; the last ``event`` is ``restored`` or ``failed``."""
    who.require_platform_admin()
    wishes = Wishes(name, cell, plan)
    events = request.app.state.archives.restore(who, request.stream(), wishes)
    first = await anext(events)
    return StreamingResponse(_lines(first, events), media_type="application/x-ndjson")


async def _lines(first: Event, rest: AsyncGenerator[Event, None]) -> AsyncIterator[bytes]:
    """An error in the middle is the last line: the answer has begun."""
    async with aclosing(rest):
        try:
            yield json.dumps(first).encode() + b"\n"
            async for event in rest:
                yield json.dumps(event).encode() + b"\n"
        except AppError as error:
            failure = {"event": "failed", "status": error.status, "code": error.code, "detail": error.detail}
            yield json.dumps(failure).encode() + b"\n"


@router.patch("/tenants/{name}/quota")
async def update_quota(who: Caller, name: str, body: Quota, request: Request) -> dict[str, Any]:
    """Change the quota overrides."""
    return shown(await request.app.state.tenants.update_quota(who, name, body))


@router.delete("/tenants/{name}", status_code=202)
async def delete(who: Caller, name: str, request: Request) -> Response:
    """Ask for the deletion, which follows the tenant's deletion policy."""
    await request.app.state.tenants.delete(who, name)
    return Response(status_code=202)
