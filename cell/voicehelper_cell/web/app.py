"""The BFF as an application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from voicehelper_core.auth import TokenVerifier
from voicehelper_core.http import create_app

from voicehelper_cell.placements import Placements
from voicehelper_cell.settings import CellSettings
from voicehelper_cell.web import conversations, knowledge, limits, private, probe, uploads, usage
from voicehelper_cell.web.caller import Services


def build(settings: CellSettings, services: Services, verifier: TokenVerifier, placements: Placements) -> FastAPI:
    """All surfaces; ``app.state.ready`` is the caller's to set."""
    app = create_app("web", version=settings.service_version)
    app.openapi_url = "/api/v1/openapi.json"
    app.setup()
    larger = {f"{knowledge.router.prefix}/documents": settings.max_upload_bytes + uploads.OVERHEAD}
    app.user_middleware.append(Middleware(private.Private))
    app.user_middleware.append(Middleware(limits.BodyLimit, larger=larger))  # inside of the telemetry
    state: Any = app.state
    state.settings, state.services, state.verifier, state.placements = settings, services, verifier, placements
    for surface in (conversations, knowledge, usage, probe):
        app.include_router(surface.router)
    return app
