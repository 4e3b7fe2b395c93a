"""``GET /api/v1/probe``: for the operator's routed probe and nobody else."""

from __future__ import annotations

from fastapi import APIRouter, Request

from voicehelper_cell.web.caller import Prober

router = APIRouter(prefix="/api/v1", include_in_schema=False)


@router.get("/probe")
async def probe(who: Prober, request: Request) -> dict[str, str]:
    """Which cell answers, for which tenant, in which release."""
    release: str = request.app.state.settings.release
    return {"tenant_id": who.tenant_id, "cell_id": who.cell_id, "release": release}
