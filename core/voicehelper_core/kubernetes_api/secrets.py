"""Bundles of secret strings as Kubernetes Secrets of one namespace."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from voicehelper_core import errors
from voicehelper_core.kubernetes_api.client import Api, Object
from voicehelper_core.kubernetes_api.kinds import SECRET


class KubernetesSecretStore:
    """``ports.SecretStore``. Nobody but the platform needs to read the namespace."""

    def __init__(self, api: Api, namespace: str, *, manager: str = "voicehelper") -> None:
        self._api, self._namespace, self._manager = api, namespace, manager

    async def get(self, name: str) -> dict[str, str] | None:
        return (await self.read(name))[0]

    async def put(self, name: str, data: Mapping[str, str]) -> None:
        await self._api.apply(self._manifest(name, data), manager=self._manager, force=True)

    async def read(self, name: str) -> tuple[dict[str, str] | None, str]:
        """The bundle and its version; the version is empty where there is none."""
        try:
            found = await self._api.get(SECRET, name, self._namespace)
        except errors.NotFound:
            return None, ""
        data = {key: base64.b64decode(value).decode() for key, value in found.get("data", {}).items()}
        return data, found["metadata"]["resourceVersion"]

    async def replace(self, name: str, data: Mapping[str, str], version: str) -> None:
        """In the place of the version that ``read`` told. Raises Conflict where somebody else was quicker."""
        manifest = self._manifest(name, data)
        if not version:
            await self._api.create(manifest, manager=self._manager)
            return
        present, now = await self.read(name)
        if now != version:
            raise errors.Conflict(f"Secret '{name}' has changed: read it again")
        # Not an apply: what a creation has set belongs to no applier, and would stay.
        change = {"metadata": {"resourceVersion": version}, "data": dict.fromkeys(present or {}) | manifest["data"]}
        await self._api.merge(SECRET, name, change, manager=self._manager, namespace=self._namespace)

    def _manifest(self, name: str, data: Mapping[str, str]) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": {"app.kubernetes.io/part-of": "voicehelper"},
            },
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }

    async def delete(self, name: str) -> None:
        await self._api.delete(SECRET, name, self._namespace)
