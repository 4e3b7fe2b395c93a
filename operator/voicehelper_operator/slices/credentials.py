"""A cell's passwords: made once, kept in the secret store, one bundle a cell."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping

from voicehelper_core import faults, names
from voicehelper_core.ports import SecretStore

MIGRATOR_PASSWORD = "migrator_password"  # noqa: S105 (a name)
PASSWORDS = ("postgres_password", MIGRATOR_PASSWORD, "kafka_password", "objects_secret_key")


def service_password(service: str) -> str:
    """Name in the bundle of the Postgres password of one service of an expanded cell."""
    return f"postgres_password_{service}"


class CellCredentials:
    """Reads and makes the bundles."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._lock = asyncio.Lock()  # slices of one cell ask at the same time

    async def of(self, cell_id: str, services: Iterable[str] = ()) -> dict[str, str]:
        """The bundle, with passwords of ``services``; missing ones are made and stored before anybody uses them."""
        name = names.cell_secret(cell_id)
        async with self._lock:
            bundle = await self._store.get(name) or {}
            lacking = [key for key in (*PASSWORDS, *map(service_password, services)) if key not in bundle]
            if lacking:
                bundle |= {key: secrets.token_urlsafe(24) for key in lacking}
                await faults.point("operator.credentials.before")
                await self._store.put(name, bundle)
                await faults.point("operator.credentials.recorded")
            return bundle

    async def known(self, cell_id: str) -> bool:
        """Whether the bundle is there; makes nothing."""
        return set(PASSWORDS) <= (await self._store.get(names.cell_secret(cell_id)) or {}).keys()

    async def certificates(self, cell_id: str) -> dict[str, str] | None:
        """The authority and the certificates of the cell's services, as they are kept."""
        return await self._store.get(names.cell_certificates(cell_id))

    async def keep_certificates(self, cell_id: str, secret: Mapping[str, str]) -> None:
        """Replace them."""
        await self._store.put(names.cell_certificates(cell_id), secret)

    async def remove(self, cell_id: str) -> None:
        """Forget everything of the cell."""
        await self._store.delete(names.cell_secret(cell_id))
        await self._store.delete(names.cell_certificates(cell_id))
