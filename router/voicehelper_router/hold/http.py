"""What the operator asks: how much cells are used, and for which of them requests wait."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import StringConstraints
from voicehelper_core.errors import NotFound
from voicehelper_core.names import ID

from voicehelper_router.hold import traffic
from voicehelper_router.hold.activity import Activity
from voicehelper_router.hold.waiting import Waiting
from voicehelper_router.xds.cache import Cache

MOST_WAIT = 30.0
MOST_CELLS = 100
CellId = Annotated[str, StringConstraints(pattern=ID.pattern)]


def create(cache: Cache, waiting: Waiting, activity: Activity) -> APIRouter:
    """The routes below ``/cells`` and ``/tenants``."""
    router, both = APIRouter(prefix="/cells", tags=["cells"]), APIRouter()

    @router.get("/activity")
    async def of_all() -> dict[str, Any]:
        """All cells; requests that wait are in flight, too. 503 while Envoy's statistics cannot be read."""
        uses, held = await activity.uses(), waiting.cells()
        cells = {
            cell_id: {
                "requests": use.requests if (use := uses.get(cell_id)) else 0,
                "active": (use.active if use else 0) + held.get(cell_id, 0),
            }
            for cell_id in cache.cells
        }
        return {"cells": cells, "held": held, "epoch": activity.epoch}

    @router.get("/traffic")
    async def of_traffic(cell: Annotated[list[CellId], Query(min_length=1, max_length=MOST_CELLS)]) -> dict[str, Any]:
        """How requests of some cells ended; 503 while Envoy's statistics cannot be read."""
        await activity.uses()  # which notices that Envoy was started again
        bounds, cells = await traffic.of_cells(activity, cell)
        return {
            "bounds": bounds,
            "cells": {name: asdict(found) for name, found in cells.items()},
            "epoch": activity.epoch,
        }

    @router.get("/held")
    async def held(
        wait: Annotated[float, Query(ge=0, le=MOST_WAIT)] = 0.0, known: Annotated[str, Query(max_length=64)] = ""
    ) -> dict[str, Any]:
        """For which cells requests wait; with ``wait``, as soon as that is not what ``known`` was."""
        if wait and known:
            await waiting.changed(known, wait)
        return {"held": waiting.cells(), "version": waiting.version}

    @router.get("/{cell_id}")
    async def of_one(cell_id: str) -> dict[str, Any]:
        """One cell, now. When it is ``parked`` and nothing is ``in_flight``, stopping it loses no request."""
        if cell_id not in cache.cells:
            raise NotFound(f"the router knows no cell '{cell_id}'")
        parked = waiting.parked(cell_id)
        in_flight = await activity.of(cell_id)  # after that: what came before it was parked is counted
        return {"in_flight": in_flight, "held": waiting.cells().get(cell_id, 0), "parked": parked}

    @both.get("/tenants/{name}", tags=["tenants"])
    async def tenant(name: str) -> dict[str, Any]:
        """Whether each Envoy lets all new requests of the tenant wait."""
        return {"held": waiting.holds(name)}

    both.include_router(router)
    return both
