"""``/api/v1/identity/cells``: the registry, for the platform's admins."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from voicehelper_crds import Cell

from voicehelper_control_plane import pagination
from voicehelper_control_plane.web import Caller, Cursor, Limit

router = APIRouter(tags=["cells"])


def shown(cell: Cell) -> dict[str, Any]:
    """The resource as JSON."""
    return cell.model_dump(mode="json", by_alias=True, exclude_none=True)


@router.get("/cells")
async def listing(who: Caller, request: Request, limit: Limit = 50, cursor: Cursor = "") -> dict[str, Any]:
    """All cells by name, with release, endpoints and conditions."""
    who.require_platform_admin()
    key = pagination.decode(cursor, 1)
    cells = [item for item in await request.app.state.store.list(Cell) if key is None or item.metadata.name > key[0]]
    following = pagination.encode(cells[limit - 1].metadata.name) if len(cells) > limit else ""
    return {"items": [shown(item) for item in cells[:limit]], "next_cursor": following}


@router.get("/cells/{name}")
async def get(who: Caller, name: str, request: Request) -> dict[str, Any]:
    """One cell."""
    who.require_platform_admin()
    return shown(await request.app.state.store.get(Cell, name))
