"""HTTP side of the control plane: health, metrics, the copy of the public keys that Envoy reads, the use of cells."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from voicehelper_core.errors import Unavailable
from voicehelper_core.http import create_app

from voicehelper_router.filters.jwt import JWKS_PATH
from voicehelper_router.jwks import KeyCopy
from voicehelper_router.xds.cache import Cache


def create(version: str, cache: Cache, keys: KeyCopy, cells: APIRouter) -> FastAPI:
    """Ready means: Envoys get routes and keys, be they old ones. What is old is told after ``ready``."""
    app = create_app("xds", version=version)

    async def ready() -> str | None:
        if cache.snapshot is None:
            return "no routes are known yet: Postgres was never reached and there is no snapshot on disk"
        if keys.document is None:
            return keys.reason
        return None

    async def note() -> str | None:
        since = f" since {cache.stale_since.isoformat(timespec='seconds')}" if cache.stale_since else ""
        stale = f"{cache.stale_reason}{since}" if cache.stale_reason else None
        return "; ".join(filter(None, (stale, keys.reason))) or None

    app.state.ready, app.state.note = ready, note

    @app.get(JWKS_PATH, include_in_schema=False)
    async def jwks() -> JSONResponse:
        if keys.document is None:
            raise Unavailable(keys.reason or "no keys yet")
        return JSONResponse(keys.document)

    app.include_router(cells)
    return app
