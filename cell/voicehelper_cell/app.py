"""Assembles a compact cell: every service in one process, behind its contract."""

from __future__ import annotations

from typing import Any

import grpc.aio
from fastapi import FastAPI
from voicehelper_core.call_graph import CALLERS, PUBLIC, SERVICES
from voicehelper_core.grpc_health import HealthServicer
from voicehelper_core.grpc_service import OPTIONS, ContextInterceptor
from voicehelper_core.rpc import LocalChannel

from voicehelper_cell.parts import PARTS, Part
from voicehelper_cell.process import Readiness, run
from voicehelper_cell.resources import Resources
from voicehelper_cell.settings import CellSettings
from voicehelper_cell.web import app as web
from voicehelper_cell.web.caller import Services


def public_server(resources: Resources, parts: dict[str, Part], ready: Readiness) -> Any:
    """gRPC for clients, through the router: what a user may call, with the user's token."""
    settings = resources.settings
    interceptor = ContextInterceptor(resources.verifier, resources.placements.admit_user)
    server = grpc.aio.server(interceptors=[interceptor], options=OPTIONS)
    for name, part in parts.items():
        if SERVICES[name].contract in PUBLIC:
            part.add_to(server)
    HealthServicer(ready, PUBLIC).add_to(server)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
    return server


async def assemble(settings: CellSettings) -> tuple[Resources, dict[str, Part], Readiness, FastAPI, Any]:
    """All of the process; the last is the gRPC server for clients."""
    local = LocalChannel()
    resources = Resources(settings, local, alone=settings.alone)
    # The caller's word counts: nobody but this process's own code can call over a local channel.
    local.intercept(ContextInterceptor(resources.verifier, resources.placements.admit_known, CALLERS))
    parts = {name: await build(resources) for name, build in PARTS.items()}
    for part in parts.values():
        part.add_to(local)
    services = Services.over(local, resources.elsewhere(settings.analytics_address))
    app = web.build(settings, services, resources.verifier, resources.placements)
    ready = Readiness(resources, parts)
    return resources, parts, ready, app, public_server(resources, parts, ready)


async def serve(settings: CellSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    resources, parts, ready, app, server = await assemble(settings)
    await run(resources, parts, ready=ready, app=app, servers=[server])
