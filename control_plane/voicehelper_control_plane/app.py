"""Assembles the control plane's API."""

from __future__ import annotations

import asyncio

import asyncpg
import grpc.aio
from fastapi import FastAPI
from starlette.middleware import Middleware
from voicehelper_core.auth import TokenVerifier
from voicehelper_core.gen.identity.v1 import identity_pb2_grpc, provisioning_pb2_grpc
from voicehelper_core.grpc_health import HealthServicer
from voicehelper_core.grpc_service import OPTIONS, ErrorInterceptor
from voicehelper_core.http import create_app, serve_http
from voicehelper_core.ports import ResourceStore

from voicehelper_control_plane import migrate
from voicehelper_control_plane.audit import http as audit_http
from voicehelper_control_plane.body_limit import BodyLimit
from voicehelper_control_plane.cells import http as cells_http
from voicehelper_control_plane.identity import first_admin
from voicehelper_control_plane.identity import http as identity_http
from voicehelper_control_plane.identity.grpc import IdentityServicer
from voicehelper_control_plane.identity.keys import Signer
from voicehelper_control_plane.identity.limits import LoginLimiter
from voicehelper_control_plane.identity.passwords import Passwords
from voicehelper_control_plane.identity.provisioning import ProvisioningServicer
from voicehelper_control_plane.identity.service import UserService
from voicehelper_control_plane.identity.sessions import Sessions
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_control_plane.tenants import http as tenants_http
from voicehelper_control_plane.tenants.archives import ArchiveService
from voicehelper_control_plane.tenants.service import TenantService

PREFIX = "/api/v1/identity"


def build(settings: ControlPlaneSettings, store: ResourceStore, pool: asyncpg.Pool) -> FastAPI:
    """The HTTP API with its services in ``app.state``."""
    app = create_app("identity", version=settings.service_version)
    app.openapi_url = f"{PREFIX}/openapi.json"
    app.setup()
    app.state.settings, app.state.store, app.state.pool = settings, store, pool
    app.state.signer = Signer(settings.signing_key_file)
    app.state.verifier = TokenVerifier(keys=app.state.signer.keys)
    app.state.passwords = Passwords()
    limiter = LoginLimiter(settings.login_failures, settings.login_window_seconds)
    app.state.sessions = Sessions(pool, settings, app.state.signer, app.state.passwords, limiter, store)
    app.state.users = UserService(pool, app.state.passwords)
    app.state.tenants = TenantService(store, pool)
    app.state.archives = ArchiveService(app.state.tenants, settings.operator_url, settings.provisioning_key)
    app.include_router(identity_http.auth, prefix=PREFIX)
    app.include_router(identity_http.auth, prefix="/api/v1/auth", include_in_schema=False)
    for router in (identity_http.users, tenants_http.router, cells_http.router, audit_http.router):
        app.include_router(router, prefix=PREFIX)
    app.include_router(identity_http.discovery)
    app.user_middleware.append(Middleware(BodyLimit))  # inside of what logs and counts requests
    needed = migrate.head()
    app.state.first_admin_made = False

    async def ready() -> str | None:
        missing = await migrate.missing(pool, needed)
        return missing or (None if app.state.first_admin_made else "the platform's first admin is not made yet")

    app.state.ready = ready
    return app


def grpc_server(app: FastAPI) -> grpc.aio.Server:
    """The gRPC API over the same services."""
    state = app.state
    server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=OPTIONS)
    servicer = IdentityServicer(state.sessions, state.users, state.tenants, state.verifier)
    identity_pb2_grpc.add_IdentityServiceServicer_to_server(servicer, server)
    provisioning = ProvisioningServicer(
        state.pool, state.store, state.sessions, state.passwords, state.settings.provisioning_key
    )
    provisioning_pb2_grpc.add_ProvisioningServiceServicer_to_server(provisioning, server)
    HealthServicer(state.ready, ["identity.v1.IdentityService"]).add_to(server)
    return server


async def run(settings: ControlPlaneSettings, store: ResourceStore, stop: asyncio.Event) -> None:
    """Serve HTTP and gRPC until ``stop`` is set. Raises what keeps it from starting."""
    pool = await asyncpg.create_pool(
        settings.postgres_dsn, min_size=0, max_size=settings.postgres_pool_size, command_timeout=30
    )
    app = build(settings, store, pool)
    server = grpc_server(app)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
    http = serve_http(app, settings.http_host, settings.http_port)
    first = asyncio.create_task(first_admin.until_made(app), name="identity-first-admin")
    try:
        await server.start()
        serving = asyncio.create_task(http.serve(), name="identity-http")
        waiting = asyncio.create_task(stop.wait(), name="identity-stop")
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        http.should_exit = True
        waiting.cancel()
        await serving
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await server.stop(1)
        await pool.close()
    if not stop.is_set():
        raise RuntimeError("the HTTP server ended by itself")
