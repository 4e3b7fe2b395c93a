"""``/api/v1/identity/tenants``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from voicehelper_control_plane.tenants.models import Creation, Quota
from voicehelper_control_plane.tenants.service import shown
from voicehelper_control_plane.web import Caller, Cursor, Limit

router = APIRouter(tags=["tenants"])


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


@router.patch("/tenants/{name}/quota")
async def update_quota(who: Caller, name: str, body: Quota, request: Request) -> dict[str, Any]:
    """Change the quota overrides."""
    return shown(await request.app.state.tenants.update_quota(who, name, body))


@router.delete("/tenants/{name}", status_code=202)
async def delete(who: Caller, name: str, request: Request) -> Response:
    """Ask for the deletion, which follows the tenant's deletion policy."""
    await request.app.state.tenants.delete(who, name)
    return Response(status_code=202)
