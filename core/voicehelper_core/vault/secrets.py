"""Bundles of secret strings in Vault's key-value engine, version 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hvac import exceptions

from voicehelper_core import errors, names
from voicehelper_core.vault.connection import VaultConnection

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_OWNED = re.compile(r"(cell|tenant)-([a-z0-9]{12})(?:-(.+))?")


def path_of(name: str) -> str:
    """``cells/ID``, ``cells/ID/REST``, ``tenants/ID/REST``; ``platform/NAME`` for what is nobody's.

    Raises ValueError for what is no name of a secret.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"not the name of a secret: {name!r}")
    owned = _OWNED.fullmatch(name)
    if owned and names.ID.fullmatch(owned[2]):
        return f"{owned[1]}s/{owned[2]}" + (f"/{owned[3]}" if owned[3] else "")
    return f"platform/{name}"


class VaultSecretStore:
    """``ports.SecretStore``. A write says which version it goes by (check-and-set): that of the last ``get`` here, else
    the one that is there. It raises Conflict where another process was quicker; whoever gets that has to read again.
    """

    def __init__(self, connection: VaultConnection) -> None:
        self._connection, self._mount = connection, connection.server.mount
        self._seen: dict[str, int] = {}

    async def get(self, name: str) -> dict[str, str] | None:
        path = path_of(name)
        data, self._seen[path] = await self._read(path)
        return data

    async def put(self, name: str, data: Mapping[str, str]) -> None:
        path, secret = path_of(name), dict(data)
        if not all(isinstance(value, str) for value in secret.values()):
            raise TypeError("a bundle has strings only")
        version = self._seen.pop(path, None)
        if version is None:
            _, version = await self._read(path)
        await self._connection.run(
            lambda client: client.secrets.kv.v2.create_or_update_secret(
                path, secret, cas=version, mount_point=self._mount
            )
        )

    async def delete(self, name: str) -> None:
        """All versions of it."""
        await self._forget(path_of(name))

    async def delete_of_tenant(self, tenant_id: str) -> None:
        """Everything below ``tenants/ID``."""
        folder = f"tenants/{names.checked(tenant_id)}"
        try:
            found = await self._connection.run(
                lambda client: client.secrets.kv.v2.list_secrets(folder, mount_point=self._mount)
            )
        except errors.NotFound:
            return
        for key in found["data"]["keys"]:
            await self._forget(f"{folder}/{key}")

    async def _forget(self, path: str) -> None:
        self._seen.pop(path, None)
        await self._connection.run(
            lambda client: client.secrets.kv.v2.delete_metadata_and_all_versions(path, mount_point=self._mount)
        )

    async def _read(self, path: str) -> tuple[dict[str, str] | None, int]:
        """What is there, and its version: 0 where there never was anything. What was deleted has a version, too."""

        def read(client: Any) -> Any:
            try:
                return client.secrets.kv.v2.read_secret_version(
                    path, mount_point=self._mount, raise_on_deleted_version=True
                )
            except exceptions.InvalidPath as missing:
                return missing.json or {}

        found = (await self._connection.run(read)).get("data") or {}
        return found.get("data"), int((found.get("metadata") or {}).get("version") or 0)
