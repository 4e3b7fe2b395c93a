"""Resources in the Kubernetes API."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, TypeVar, cast

from voicehelper_crds import API_VERSION, KINDS, Cell, Resource, Tenant

from voicehelper_core import errors
from voicehelper_core.indexes import Index, counted, selected
from voicehelper_core.kubernetes_api.cache import Cache, to_resource
from voicehelper_core.kubernetes_api.client import Api, Object
from voicehelper_core.kubernetes_api.follow import Selection, follow_all
from voicehelper_core.kubernetes_api.kinds import kind_of, ours
from voicehelper_core.ports import Change
from voicehelper_core.resource_rules import (
    dump,
    is_protected,
    protection,
    refuse_creation,
    refuse_finalizers,
    refuse_replacement,
    same,
    storable,
    validated,
)

R = TypeVar("R", bound=Resource)
T = TypeVar("T")
_TRIES = 8


class KubernetesResourceStore:
    """``ports.ResourceStore`` over the API server.

    With ``cached``, whoever watches a kind also reads it from what the watch and the store's own writes have told,
    as controllers do; without a watch, or before it has seen all, reads go to the API server.
    """

    def __init__(self, api: Api, *, manager: str = "voicehelper", cached: bool = False) -> None:
        self._api, self._manager, self._cached = api, manager, cached
        self._cache: dict[type[Resource], Cache[Any]] = {}

    @property
    def synced(self) -> bool:
        """Whether a watch runs and has seen everything that was there."""
        return bool(self._cache) and all(cache.synced for cache in self._cache.values())

    async def get(self, kind: type[R], name: str) -> R:
        if cache := self._read(kind):
            return cast("R", cache.get(name))
        return await self._live(kind, name)

    async def list(self, kind: type[R], labels: Mapping[str, str] | None = None) -> builtins.list[R]:
        if cache := self._read(kind):
            return cast("builtins.list[R]", cache.list(labels or {}))
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        items, _ = await self._api.list(ours(kind), labels=selector)
        return sorted((to_resource(kind, item) for item in items), key=lambda item: item.metadata.name)

    async def counts(self, index: Index[R]) -> Mapping[str, int]:
        """``indexes.Indexed``."""
        if cache := self._read(index.kind):
            return cache.counts(index)
        return counted(index, await self.list(index.kind))

    async def having(self, index: Index[R], value: str) -> builtins.list[R]:
        """``indexes.Indexed``."""
        if cache := self._read(index.kind):
            return cache.having(index, value)
        return selected(index, await self.list(index.kind), value)

    async def apply(self, manifest: Mapping[str, Any]) -> Resource:
        wanted, given = validated(manifest)
        body = _body(wanted, given)

        async def attempt() -> Resource:
            try:
                current = await self._live(type(wanted), wanted.metadata.name)
            except errors.NotFound:
                refuse_creation(wanted)
            else:
                refuse_replacement(current, wanted)
                if same(current, wanted, given):
                    return current
            return self._told(type(wanted), await self._applied(body))

        return await _insisting(attempt)

    async def _applied(self, body: Object) -> Object:
        """What this manager created or patched before counts as applied by it, or it would be in its own way."""
        try:
            return await self._api.apply(body, manager=self._manager)
        except errors.Conflict as conflict:
            if f'with "{self._manager}"' not in conflict.detail:
                raise
        kind, name = kind_of(body), body["metadata"]["name"]
        meta = (await self._api.get(kind, name))["metadata"]
        fields = [self._adopted(entry) for entry in meta["managedFields"]]
        change = {"metadata": {"managedFields": fields, "resourceVersion": meta["resourceVersion"]}}
        await self._api.merge(kind, name, change, manager=self._manager)
        return await self._api.apply(body, manager=self._manager)

    def _adopted(self, entry: Object) -> Object:
        """Only what a manifest says: finalizers and owners would go with an apply that does not name them."""
        if entry["manager"] != self._manager or entry["operation"] != "Update" or entry.get("subresource"):
            return entry
        known = dict(entry["fieldsV1"])
        meta = known.get("f:metadata", {})
        known["f:metadata"] = {key: value for key, value in meta.items() if key in ("f:labels", "f:annotations")}
        return {**entry, "operation": "Apply", "fieldsV1": known}

    async def create(self, manifest: Mapping[str, Any]) -> Resource:
        wanted, given = validated(manifest)
        refuse_creation(wanted)
        body = _body(wanted, given)
        body["metadata"]["finalizers"] = wanted.metadata.finalizers
        try:
            return self._told(type(wanted), await self._api.create(body, manager=self._manager))
        except errors.Conflict:
            raise errors.Conflict(f"{wanted.kind_name} '{wanted.metadata.name}' exists already") from None

    async def update_status(self, kind: type[R], name: str, status: Any, *, resource_version: str | None = None) -> R:
        current = await self.get(kind, name)
        if resource_version not in (None, current.metadata.resource_version):
            raise errors.Conflict(f"{kind.kind_name} '{name}' has changed: read it again")
        wanted = storable(dump(status))
        if dump(current.status) == wanted:  # type: ignore[attr-defined]
            return current
        meta = {"name": name, "uid": current.metadata.uid}
        if resource_version:
            meta["resourceVersion"] = resource_version
        body = {"apiVersion": API_VERSION, "kind": kind.kind_name, "metadata": meta, "status": _filled(wanted)}
        # Nobody else has anything to say in a status.
        answer = await self._api.apply(body, manager=self._manager, force=True, subresource="status")
        return self._told(kind, answer)

    async def set_finalizers(self, kind: type[R], name: str, finalizers: builtins.list[str]) -> None:
        read: Callable[[type[R], str], Coroutine[Any, Any, R]] = self.get

        async def attempt() -> Object | None:
            nonlocal read
            current = await read(kind, name)
            read = self._live  # what is known may be behind: the version says so, and then it is read again
            refuse_finalizers(current, finalizers)
            if current.metadata.finalizers == finalizers:
                return None
            meta = {"finalizers": finalizers, "resourceVersion": current.metadata.resource_version}
            return await self._api.merge(ours(kind), name, {"metadata": meta}, manager=self._manager)

        answer = await _insisting(attempt)
        if answer is not None:
            self._told(kind, answer)

    async def delete(self, kind: type[R], name: str) -> None:
        item = await self._live(kind, name)
        await self._refuse_protected(item)
        await self._api.delete(ours(kind), name, uid=item.metadata.uid)

    async def watch(self, *kinds: type[Resource]) -> AsyncIterator[Change]:
        wanted = {ours(kind): kind for kind in kinds or tuple(KINDS.values())}
        waiting, synced = set(wanted.values()), False
        for kind in wanted.values():
            self._cache[kind] = Cache(kind)
        try:
            async for delta in follow_all(self._api, *(Selection(kind) for kind in wanted)):
                kind = wanted[delta.kind]
                if delta.type == "synced":
                    for change in self._cache[kind].relisted(delta):
                        yield change
                    self._cache[kind].synced = True
                    waiting.discard(kind)
                    if not waiting and not synced:
                        synced = True
                        yield Change("synced", "", "", None)
                else:
                    yield self._cache[kind].take(delta)
        finally:
            for kind in wanted.values():
                self._cache.pop(kind, None)

    async def _live(self, kind: type[R], name: str) -> R:
        if not name.isascii() or not name.isprintable() or "/" in name:
            raise errors.NotFound(f"{kind.kind_name} '{name}' does not exist")
        return to_resource(kind, await self._api.get(ours(kind), name))

    def _read(self, kind: type[Resource]) -> Cache[Any] | None:
        cache = self._cache.get(kind) if self._cached else None
        return cache if cache is not None and cache.synced else None

    def _told(self, kind: type[R], answer: Object) -> R:
        """What the API server answered to a write is news too."""
        item = to_resource(kind, answer)
        if cache := self._cache.get(kind):
            cache.put(item)
        return item

    async def _refuse_protected(self, item: Resource) -> None:
        if is_protected(item):
            raise protection(item.kind_name, item.metadata.name)
        if isinstance(item, Tenant):
            for cell in await self.list(Cell):
                if any(owner.uid == item.metadata.uid for owner in cell.metadata.owner_references):
                    await self._refuse_protected(cell)


def _body(wanted: Resource, given: Mapping[str, Any]) -> Object:
    """What the manifest asks for, with every default, so that applying what was read changes nothing."""
    meta = wanted.metadata
    metadata: Object = {"name": meta.name, "labels": meta.labels, "annotations": meta.annotations}
    if "ownerReferences" in given:
        owners = [{"apiVersion": API_VERSION, **dump(owner)} for owner in meta.owner_references]
        metadata["ownerReferences"] = owners
    if meta.resource_version:
        metadata["resourceVersion"] = meta.resource_version
    spec = _filled(dump(wanted.spec))  # type: ignore[attr-defined]
    return {"apiVersion": API_VERSION, "kind": wanted.kind_name, "metadata": metadata, "spec": spec}


def _filled(value: Any) -> Any:
    """Without empty maps: server-side apply makes null of one whose fields were ours, and schemas refuse that."""
    if not isinstance(value, dict):
        return value
    kept = {key: _filled(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item != {}}


async def _insisting(attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Again where somebody else wrote in the meantime; not where others own what was to be written."""
    for number in range(_TRIES):
        try:
            return await attempt()
        except errors.Conflict as conflict:
            raced = "fields" not in conflict.extra and "object has been modified" in conflict.detail
            if not raced or number == _TRIES - 1:
                raise
            await asyncio.sleep(0.01 * 2**number)
    raise AssertionError
