"""Resources, secrets and events in memory, as the embedded store keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from voicehelper_core import errors
from voicehelper_crds import KINDS, Resource
from voicehelper_crds.validation import ValidationFailed, validate, validate_update

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryStore:
    """Resources with generations, finalizers and cascades, as the embedded store has them."""

    def __init__(self, step: Callable[[str], None] = lambda _: None) -> None:
        self.objects: dict[tuple[str, str], Resource] = {}
        self.writes = 0
        self._version = 0
        self._step = step

    def _put(self, resource: Resource) -> Any:
        self._step("store.put")
        self._version += 1
        self.writes += 1
        metadata = resource.metadata.model_copy(update={"resource_version": str(self._version)})
        stored = resource.model_copy(update={"metadata": metadata})
        self.objects[stored.kind, stored.metadata.name] = stored  # type: ignore[attr-defined]
        return stored.model_copy(deep=True)

    async def get(self, kind: Any, name: str) -> Any:
        try:
            return self.objects[kind.kind_name, name].model_copy(deep=True)
        except KeyError:
            raise errors.NotFound(f"no {kind.kind_name} '{name}'") from None

    async def list(self, kind: Any, labels: Mapping[str, str] | None = None) -> list[Any]:
        return [
            item.model_copy(deep=True) for (name, _), item in sorted(self.objects.items()) if name == kind.kind_name
        ]

    async def create(self, manifest: Mapping[str, Any]) -> Any:
        if (manifest["kind"], manifest["metadata"]["name"]) in self.objects:
            raise errors.Conflict("it exists")
        return await self.apply(manifest)

    async def apply(self, manifest: Mapping[str, Any]) -> Any:
        try:
            new = validate(manifest)
        except ValidationFailed as error:
            raise errors.InvalidArgument(str(error)) from None
        old = self.objects.get((new.kind, new.metadata.name))  # type: ignore[attr-defined]
        if old is None:
            self._version += 1
            update = {"uid": f"uid-{self._version}", "generation": 1, "creation_timestamp": NOW}
            return self._put(new.model_copy(update={"metadata": new.metadata.model_copy(update=update)}))
        if old.metadata.deletion_timestamp:
            raise errors.Conflict("it is being deleted")
        validate_update(old, new)
        same = old.spec == new.spec  # type: ignore[attr-defined]
        if same and old.metadata.annotations == new.metadata.annotations:
            return old.model_copy(deep=True)
        generation = (old.metadata.generation or 0) + (not same)
        changed = {"generation": generation, "annotations": new.metadata.annotations}
        metadata = old.metadata.model_copy(update=changed)
        return self._put(old.model_copy(update={"spec": new.spec, "metadata": metadata}))  # type: ignore[attr-defined]

    async def annotate(self, kind: Any, name: str, annotations: Mapping[str, str]) -> None:
        current = await self.get(kind, name)
        metadata = current.metadata.model_copy(update={"annotations": dict(annotations)})
        self._put(current.model_copy(update={"metadata": metadata}))

    async def update_status(self, kind: Any, name: str, status: Any, *, resource_version: str | None = None) -> Any:
        current = await self.get(kind, name)
        if resource_version is not None and current.metadata.resource_version != resource_version:
            raise errors.Conflict("stale")
        return current if current.status == status else self._put(current.model_copy(update={"status": status}))

    async def set_finalizers(self, kind: Any, name: str, finalizers: list[str]) -> None:
        current = await self.get(kind, name)
        metadata = current.metadata.model_copy(update={"finalizers": finalizers})
        self._put(current.model_copy(update={"metadata": metadata}))
        await self._collect(kind.kind_name, name)

    async def delete(self, kind: Any, name: str) -> None:
        current = await self.get(kind, name)
        if current.metadata.deletion_timestamp is None:
            metadata = current.metadata.model_copy(update={"deletion_timestamp": NOW})
            self._put(current.model_copy(update={"metadata": metadata}))
        await self._collect(kind.kind_name, name)

    async def _collect(self, kind: str, name: str) -> None:
        item = self.objects.get((kind, name))
        if item and item.metadata.deletion_timestamp and not item.metadata.finalizers:
            del self.objects[kind, name]
            for (other, dependant), owned in list(self.objects.items()):
                if any(owner.uid == item.metadata.uid for owner in owned.metadata.owner_references):
                    await self.delete(KINDS[other], dependant)


class MemorySecrets:
    def __init__(self, step: Callable[[str], None] = lambda _: None) -> None:
        self.bundles: dict[str, dict[str, str]] = {}
        self._step = step

    async def get(self, name: str) -> dict[str, str] | None:
        return dict(self.bundles[name]) if name in self.bundles else None

    async def put(self, name: str, data: Mapping[str, str]) -> None:
        self._step("secret.before")
        self.bundles[name] = dict(data)
        self._step("secret.after")

    async def delete(self, name: str) -> None:
        self._step("secret.delete")
        self.bundles.pop(name, None)


class MemoryEvents:
    def __init__(self) -> None:
        self.recorded: list[tuple[str, str, str, str]] = []

    async def record(self, resource: Any, reason: str, message: str, *, warning: bool = False) -> None:
        self.recorded.append((resource.kind, resource.metadata.name, reason, message))

    async def events(self, kind: str, name: str) -> list[Any]:
        return []
