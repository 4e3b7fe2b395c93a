"""Assembles the control plane's API."""

from __future__ import annotations

import asyncio

import asyncpg
import grpc.aio
from fastapi import FastAPI
from voicehelper_core.auth import TokenVerifier
from voicehelper_core.gen.identity.v1 import identity_pb2_grpc, provisioning_pb2_grpc
from voicehelper_core.grpc_service import OPTIONS, ErrorInterceptor
from voicehelper_core.http import create_app, serve_http
from voicehelper_core.log import get_logger
from voicehelper_core.names import PUBLIC_TENANT
from voicehelper_core.ports import ResourceStore

from voicehelper_control_plane import migrate
from voicehelper_control_plane.audit import http as audit_http
from voicehelper_control_plane.cells import http as cells_http
from voicehelper_control_plane.identity import http as identity_http
from voicehelper_control_plane.identity import repository
from voicehelper_control_plane.identity.grpc import IdentityServicer
from voicehelper_control_plane.identity.keys import Signer
from voicehelper_control_plane.identity.limits import LoginLimiter
from voicehelper_control_plane.identity.passwords import Passwords
from voicehelper_control_plane.identity.provisioning import ProvisioningServicer
from voicehelper_control_plane.identity.service import UserService
from voicehelper_control_plane.identity.sessions import Sessions
from voicehelper_control_plane.principal import PLATFORM_ADMIN
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_control_plane.tenants import http as tenants_http
from voicehelper_control_plane.tenants.service import TenantService

log = get_logger(__name__)
PREFIX = "/api/v1/identity"


def build(settings: ControlPlaneSettings, store: ResourceStore, pool: asyncpg.Pool) -> FastAPI:
    """The HTTP API with its services in ``app.state``."""
    app = create_app("identity", version=settings.service_version)
    app.openapi_url = f"{PREFIX}/openapi.json"
    app.setup()
    app.state.settings, app.state.store, app.state.pool = settings, store, pool
    app.state.signer = Signer(settings.signing_key_file)
    app.state.verifier = TokenVerifier(keys=app.state.signer.keys())
    app.state.passwords = Passwords()
    limiter = LoginLimiter(settings.login_failures, settings.login_window_seconds)
    app.state.sessions = Sessions(pool, settings, app.state.signer, app.state.passwords, limiter)
    app.state.users = UserService(pool, app.state.passwords)
    app.state.tenants = TenantService(store, pool)
    app.include_router(identity_http.auth, prefix=PREFIX)
    app.include_router(identity_http.auth, prefix="/api/v1/auth", include_in_schema=False)
    for router in (identity_http.users, tenants_http.router, cells_http.router, audit_http.router):
        app.include_router(router, prefix=PREFIX)
    app.include_router(identity_http.discovery)
    needed = migrate.head()

    async def ready() -> str | None:
        return await migrate.missing(pool, needed)

    app.state.ready = ready
    return app


def grpc_server(app: FastAPI) -> grpc.aio.Server:
    """The gRPC API over the same services."""
    state = app.state
    server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=OPTIONS)
    servicer = IdentityServicer(state.sessions, state.users, state.tenants, state.verifier)
    identity_pb2_grpc.add_IdentityServiceServicer_to_server(servicer, server)
    provisioning = ProvisioningServicer(state.pool, state.sessions, state.passwords, state.settings.provisioning_key)
    provisioning_pb2_grpc.add_ProvisioningServiceServicer_to_server(provisioning, server)
    return server


async def ensure_platform_admin(app: FastAPI) -> None:
    """Make the platform's first user, once; what people changed about it since stays."""
    settings: ControlPlaneSettings = app.state.settings
    if not settings.platform_admin_password:
        return
    pool: asyncpg.Pool = app.state.pool
    if await repository.by_email(pool, PUBLIC_TENANT, settings.platform_admin_email) is not None:
        return
    hashed = await app.state.passwords.hash(settings.platform_admin_password)
    async with pool.acquire() as connection, connection.transaction():
        await repository.tenant(connection, PUBLIC_TENANT, lock=True)
        if await repository.by_email(connection, PUBLIC_TENANT, settings.platform_admin_email) is None:
            await repository.add(
                connection,
                PUBLIC_TENANT,
                settings.platform_admin_email,
                display_name="Platform admin",
                password_hash=hashed,
                role=PLATFORM_ADMIN,
            )


async def run(settings: ControlPlaneSettings, store: ResourceStore, stop: asyncio.Event) -> None:
    """Serve HTTP and gRPC until ``stop`` is set. Raises what keeps it from starting."""
    pool = await asyncpg.create_pool(
        settings.postgres_dsn, min_size=0, max_size=settings.postgres_pool_size, command_timeout=30
    )
    app = build(settings, store, pool)
    server = grpc_server(app)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
    http = serve_http(app, settings.http_host, settings.http_port)
    try:
        await ensure_platform_admin(app)
        await server.start()
        serving = asyncio.create_task(http.serve(), name="identity-http")
        waiting = asyncio.create_task(stop.wait(), name="identity-stop")
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        http.should_exit = True
        waiting.cancel()
        await serving
    finally:
        await server.stop(1)
        await pool.close()
    if not stop.is_set():
        raise RuntimeError("the HTTP server ended by itself")
