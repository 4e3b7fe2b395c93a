"""Health and metrics are for the platform. What comes through the router names a tenant, and does not find them."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send
from voicehelper_core.errors import NotFound
from voicehelper_core.http import problem_response

PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
_ROUTED = b"x-tenant-id"


class Private:
    """Pure ASGI. A shared cell's metrics tell of all of its tenants."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in PATHS and any(name == _ROUTED for name, _ in scope["headers"]):
            response = problem_response(NotFound("there is nothing here"), scope["path"])
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)
