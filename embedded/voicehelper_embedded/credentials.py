"""Generated secrets of a platform: made once, mode 0600, never in arguments, environments or logs."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets

from voicehelper_core.embedded_secrets import FileSecretStore

from voicehelper_embedded.context import DATABASE, HOST
from voicehelper_embedded.home import Home

_PASSWORDS = (
    "postgres", "control_plane", "resources_reader", "analytics", "debezium",
    "kafka_admin", "kafka_controller", "kafka_connect", "kafka_analytics", "connect_rest",
    "platform_admin",
)  # fmt: skip
PLATFORM_ADMIN = "admin@voicehelper.example"


async def _ensure(home: Home, ports: dict[str, int]) -> None:
    store = FileSecretStore(home.secrets)
    old = await store.get("platform") or {}
    bundle = {f"{name}_password": old.get(f"{name}_password") or secrets.token_urlsafe(24) for name in _PASSWORDS}
    bundle["provisioning_key"] = old.get("provisioning_key") or secrets.token_urlsafe(32)
    bundle["platform_admin_email"] = old.get("platform_admin_email") or PLATFORM_ADMIN
    password = bundle["control_plane_password"]
    bundle["control_plane_dsn"] = f"postgresql://control_plane:{password}@{HOST}:{ports['postgres']}/{DATABASE}"
    if bundle != old:
        await store.put("platform", bundle)
    admin = {"email": bundle["platform_admin_email"], "password": bundle["platform_admin_password"]}
    if await store.get("platform-admin") is None:
        await store.put("platform-admin", admin)


def ensure(home: Home, ports: dict[str, int]) -> None:
    """Make what is missing; the files belong to the platform's user."""
    asyncio.run(_ensure(home, ports))
    if home.user:
        account = pwd.getpwnam(home.user)
        for path in home.secrets.glob("*.json"):
            os.chown(path, account.pw_uid, account.pw_gid)
