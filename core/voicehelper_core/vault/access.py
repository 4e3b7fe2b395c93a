"""Who may read what in Vault: a policy, and a role of the Kubernetes login that has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from voicehelper_core import errors
from voicehelper_core.vault.connection import VaultConnection

_LIFE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Reader:
    """A service account that may read some paths of the key-value engine. ``name`` is policy and role."""

    name: str
    namespace: str
    account: str
    paths: tuple[str, ...]


def policy(mount: str, paths: tuple[str, ...]) -> str:
    """The text of a policy that lets read and nothing else."""
    rules = (f'path "{mount}/data/{path}" {{\n  capabilities = ["read"]\n}}\n' for path in paths)
    return "# Kept by the operator of VoiceHelper.\n" + "".join(rules)


def role(reader: Reader) -> dict[str, Any]:
    """A role as Vault gives it back."""
    return {
        "bound_service_account_names": [reader.account],
        "bound_service_account_namespaces": [reader.namespace],
        "token_policies": [reader.name],
        "token_ttl": _LIFE_SECONDS,
    }


class VaultAccess:
    """Idempotent. Raises errors.AppError."""

    def __init__(self, connection: VaultConnection) -> None:
        self._connection, self._server = connection, connection.server

    async def missing(self, reader: Reader) -> list[str]:
        """What is not there, or not as it should be."""
        found = []
        kept = await self._get(_policy_path(reader)) or {}
        if kept.get("policy") != policy(self._mount, reader.paths):
            found.append(f"policy {reader.name}")
        kept = await self._get(self._role_path(reader)) or {}
        if any(kept.get(key) != value for key, value in role(reader).items()):
            found.append(f"role {reader.name}")
        return found

    async def ensure(self, reader: Reader) -> list[str]:
        """Make what is missing; the policy first, so that no role ever has one of that name that is another's."""
        missing = await self.missing(reader)
        if f"policy {reader.name}" in missing:
            text = policy(self._mount, reader.paths)
            await self._connection.run(
                lambda client: client.sys.create_or_update_acl_policy(reader.name, text, pretty_print=False)
            )
        if f"role {reader.name}" in missing:
            path = f"/v1/{self._role_path(reader)}"
            await self._connection.run(lambda client: client.adapter.post(path, json=role(reader)))
        return missing

    async def remove(self, reader: Reader) -> None:
        """The role first: nobody comes in any more. No error for what is gone."""
        for path in (self._role_path(reader), _policy_path(reader)):
            try:
                await self._delete(f"/v1/{path}")
            except errors.NotFound:
                continue

    @property
    def _mount(self) -> str:
        return self._server.mount

    def _role_path(self, reader: Reader) -> str:
        return f"auth/{self._server.auth_mount}/role/{reader.name}"

    async def _get(self, path: str) -> dict[str, Any] | None:
        try:
            answer = await self._connection.run(lambda client: client.adapter.get(f"/v1/{path}"))
        except errors.NotFound:
            return None
        found: dict[str, Any] = answer["data"]
        return found

    async def _delete(self, path: str) -> None:
        await self._connection.run(lambda client: client.adapter.delete(path))


def _policy_path(reader: Reader) -> str:
    return f"sys/policies/acl/{reader.name}"
