"""One service of an expanded cell in a process of its own, from the code of the compact cell.

Services call each other over TCP and mutual TLS: the certificate says who calls, the token on whose behalf. Without
certificates they stay on loopback, for development. The web BFF faces the router: HTTP for browsers, and the public
gRPC services, whose calls it hands on.
"""

from __future__ import annotations

from typing import Any

import grpc.aio
from fastapi import FastAPI
from voicehelper_core.call_graph import CALLERS, CONTRACTS, PUBLIC, SERVICES
from voicehelper_core.grpc_caller import certified, stated
from voicehelper_core.grpc_health import HealthServicer
from voicehelper_core.grpc_service import OPTIONS, ContextInterceptor
from voicehelper_core.http import create_app
from voicehelper_core.rpc.remote import SERVER_OPTIONS, RemoteChannel, is_loopback
from voicehelper_core.tls import TlsFiles, server_credentials

from voicehelper_cell.parts import PARTS, Part
from voicehelper_cell.process import Readiness, run
from voicehelper_cell.resources import Resources
from voicehelper_cell.settings import CellSettings


async def serve(settings: CellSettings, name: str) -> None:
    """Run until SIGTERM or SIGINT. Raises SystemExit for settings that fit no cell or would open this one."""
    try:
        resources, parts, ready, app, servers = await assemble(settings, name)
    except (ValueError, OSError) as error:
        raise SystemExit(f"{name}: {error}") from None
    await run(resources, parts, ready=ready, app=app, servers=servers)


async def assemble(
    settings: CellSettings, name: str
) -> tuple[Resources, dict[str, Part], Readiness, FastAPI, list[Any]]:
    """All of a process. Raises ValueError, OSError."""
    tls = TlsFiles.of(settings)
    services = RemoteChannel(settings.services, CONTRACTS, cell_id=settings.cell_id, tls=tls, options=OPTIONS)
    resources = Resources(settings, services, alone=False)
    parts = {} if name == "web" else {name: await PARTS[name](resources)}
    ready = Readiness(resources, parts)
    if name == "web":
        app, server = _web(resources, ready)
    else:
        app, server = create_app(name, version=settings.service_version), _server(resources, name, parts, ready, tls)
    servers = [server, *([_probes(settings, ready)] if settings.probe_port else [])]
    return resources, parts, ready, app, servers


def _web(resources: Resources, ready: Readiness) -> tuple[Any, Any]:
    """The surfaces of the BFF. What faces the router is plain, as in a compact cell: the user's token decides."""
    from voicehelper_cell.web import app as web
    from voicehelper_cell.web.caller import Services
    from voicehelper_cell.web.grpc import PublicProxy

    settings, placements = resources.settings, resources.placements
    services = Services.over(resources.services, resources.elsewhere(settings.analytics_address))
    interceptor = ContextInterceptor(resources.verifier, placements.admit_user)
    server = grpc.aio.server(interceptors=[interceptor], options=OPTIONS)
    server.add_generic_rpc_handlers((PublicProxy(resources.services),))
    HealthServicer(ready, PUBLIC).add_to(server)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
    return web.build(settings, services, resources.verifier, placements), server


def _server(resources: Resources, name: str, parts: dict[str, Part], ready: Readiness, tls: TlsFiles | None) -> Any:
    """The service's contract, for the callers that the call graph names."""
    settings, contract = resources.settings, SERVICES[name].contract
    assert contract is not None
    interceptor = ContextInterceptor(
        resources.verifier,
        resources.placements.admit,  # the caller may have heard of a new tenant a moment earlier
        {contract: CALLERS[contract]},
        identify=certified(settings.cell_id) if tls else stated,
    )
    server = grpc.aio.server(interceptors=[interceptor], options=(*OPTIONS, *SERVER_OPTIONS))
    parts[name].add_to(server)
    HealthServicer(ready, [contract]).add_to(server)
    address = f"{settings.grpc_host}:{settings.grpc_port}"
    if tls:
        server.add_secure_port(address, server_credentials(tls))
    elif is_loopback(settings.grpc_host):
        server.add_insecure_port(address)
    else:
        raise ValueError(f"grpc_host: {settings.grpc_host} is not on this machine only: set the tls files")
    return server


def _probes(settings: CellSettings, ready: Readiness) -> Any:
    """Health and nothing else, for who has no certificate."""
    server = grpc.aio.server(options=OPTIONS)
    HealthServicer(ready).add_to(server)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.probe_port}")
    return server
