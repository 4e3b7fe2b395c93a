"""The platform's first user, from the settings."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from voicehelper_core.log import get_logger
from voicehelper_core.names import PUBLIC_TENANT

from voicehelper_control_plane.audit import repository as audit
from voicehelper_control_plane.identity import repository
from voicehelper_control_plane.principal import PLATFORM_ADMIN
from voicehelper_control_plane.settings import ControlPlaneSettings

log = get_logger(__name__)
_RETRY_SECONDS = 1.0


async def make(app: FastAPI) -> None:
    """Make it where the platform has no admin; what people changed about it since stays."""
    settings: ControlPlaneSettings = app.state.settings
    if settings.platform_admin_password and not await _there(app.state.pool):
        hashed = await app.state.passwords.hash(settings.platform_admin_password)
        async with app.state.pool.acquire() as connection, connection.transaction():
            await repository.tenant(connection, PUBLIC_TENANT, lock=True)
            if not await _there(connection):
                user_id = await repository.add(
                    connection,
                    PUBLIC_TENANT,
                    settings.platform_admin_email,
                    display_name="Platform admin",
                    password_hash=hashed,
                    role=PLATFORM_ADMIN,
                )
                await audit.record(
                    connection, None, "user.create", f"user/{user_id}", tenant_id=PUBLIC_TENANT,
                    actor="settings", role=PLATFORM_ADMIN,
                )  # fmt: skip
    app.state.first_admin_made = True


async def until_made(app: FastAPI) -> None:
    """Try until the database is there and migrated; readiness says so meanwhile."""
    while True:
        try:
            await make(app)
            return
        except Exception as error:
            log.warning("the platform's first admin cannot be made yet", error_type=type(error).__name__)
        await asyncio.sleep(_RETRY_SECONDS)


async def _there(connection: repository.Connection) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM identity.users JOIN identity.user_roles ON user_id = id"
        " WHERE tenant_id = $1 AND role = $2)",
        PUBLIC_TENANT,
        PLATFORM_ADMIN,
    )
    return found
