"""``GET /api/v1/identity/audit``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from voicehelper_control_plane.audit import repository
from voicehelper_control_plane.web import Caller, Cursor, Limit, Pool

router = APIRouter(tags=["audit"])


@router.get("/audit")
async def audit(who: Caller, pool: Pool, limit: Limit = 50, cursor: Cursor = "") -> dict[str, Any]:
    """Who changed what, newest first; a tenant's admin sees the tenant's own."""
    items, following = await repository.listing(pool, who, limit, cursor)
    return {"items": items, "next_cursor": following}
