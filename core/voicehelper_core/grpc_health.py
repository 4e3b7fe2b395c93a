"""``grpc.health.v1`` for every gRPC server of ours: asks the process at each check, so it never tells of the past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Ready = Callable[[], Awaitable[str | None]]
"""None when ready, else the reason why not."""
_WATCH_SECONDS = 0.5
_PREFIX = "/grpc.health.v1.Health/"


def is_health(method: str | bytes) -> bool:
    """Whether a call is a health check, which carries no token."""
    return (method.decode("latin-1") if isinstance(method, bytes) else method).startswith(_PREFIX)


class HealthServicer(health_pb2_grpc.HealthServicer):
    """``services`` are full names; the empty name stands for the whole server."""

    def __init__(self, ready: Ready, services: Iterable[str] = ()) -> None:
        self._ready, self._services = ready, {"", *services}

    async def Check(self, request: Any, context: Any) -> Any:
        """SERVING or NOT_SERVING; NOT_FOUND for a service that is not here."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return health_pb2.HealthCheckResponse(status=await self._status())

    async def Watch(self, request: Any, _: Any) -> AsyncIterator[Any]:
        """The status now and whenever it changes."""
        told = None
        while True:
            known = request.service in self._services
            status = await self._status() if known else health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            if status != told:
                told = status
                yield health_pb2.HealthCheckResponse(status=status)
            await asyncio.sleep(_WATCH_SECONDS)

    async def _status(self) -> Any:
        response = health_pb2.HealthCheckResponse
        return response.NOT_SERVING if await self._ready() else response.SERVING

    def add_to(self, server: Any) -> None:
        """Register with a server."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)
