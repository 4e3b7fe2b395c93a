"""``GET /api/v1/usage``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from voicehelper_core.gen.analytics.v1 import usage_pb2

from voicehelper_cell.web.caller import USER, Calls, metadata
from voicehelper_cell.web.shapes import plain

router = APIRouter(prefix="/api/v1", tags=["usage"], dependencies=[USER])
_SECONDS = 20


@router.get("/usage")
async def usage(
    calls: Calls,
    start: Annotated[str, Query(alias="from", max_length=40, description="RFC 3339; an hour ago")] = "",
    end: Annotated[str, Query(alias="to", max_length=40, description="RFC 3339; now")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> dict[str, Any]:
    """The tenant's messages, tokens and cost by minute and user, newest first, and their totals."""
    request = usage_pb2.GetUsageRequest(**{"from": start}, to=end, limit=limit, cursor=cursor)
    return plain(await calls.usage.GetUsage(request, metadata=metadata(), timeout=_SECONDS))
