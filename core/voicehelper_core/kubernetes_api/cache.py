"""What is known of a kind, from a watch and from the answers to one's own writes."""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from voicehelper_crds import API_VERSION, Resource

from voicehelper_core import errors
from voicehelper_core.indexes import Index
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.follow import Delta, is_ghost
from voicehelper_core.ports import Change

R = TypeVar("R", bound=Resource)
_REMEMBERED = 1000
"""Uids of deleted resources: the answer to a write may come later than the news of the end."""
_MODELS = 1000
"""So many of a kind are kept as models, 14 KB each; more are kept as JSON, 1 KB, and read anew each time (30 us)."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[R]):
    uid: str | None
    version: int
    """Versions of one object can be compared as numbers (KEP-5504)."""
    body: R | bytes


class Cache(Generic[R]):
    """All of a kind, once it is ``synced``."""

    def __init__(self, kind: type[R]) -> None:
        self.synced = False
        self._kind = kind
        self._items: dict[str, _Kept[R]] = {}
        self._ended: deque[str] = deque(maxlen=_REMEMBERED)
        self._places: dict[Index[Any], _Places] = {}

    def get(self, name: str) -> R:
        """Raises errors.NotFound."""
        kept = self._items.get(name)
        if kept is None:
            raise errors.NotFound(f"{self._kind.kind_name} '{name}' does not exist")
        return self._model(kept)

    def list(self, labels: Mapping[str, str]) -> builtins.list[R]:
        """By name."""
        items = self._models(sorted(self._items))
        return [item for item in items if labels.items() <= item.metadata.labels.items()] if labels else items

    def counts(self, index: Index[R]) -> Mapping[str, int]:
        """How many there are of each value. Not to be changed."""
        return self._of(index).counts

    def having(self, index: Index[R], value: str) -> builtins.list[R]:
        """Those with the value, by name."""
        return self._models(sorted(self._of(index).names.get(value, ())))

    def put(self, item: R) -> None:
        """The newer one stays."""
        meta, version = item.metadata, _version(item)
        before = self._items.get(meta.name)
        if meta.uid in self._ended:
            return
        if before is None or before.uid != meta.uid or before.version < version:
            compact = len(self._items) >= _MODELS
            body = item.model_dump_json(by_alias=True, exclude_unset=True).encode() if compact else item
            self._items[meta.name] = _Kept(meta.uid, version, body)
            for index, places in self._places.items():
                places.put(meta.name, index.of(item))
        if meta.deletion_timestamp and not meta.finalizers:
            self.forget(meta.name, meta.uid)  # the answer to the write that took its last finalizer

    def forget(self, name: str, uid: str | None) -> R | None:
        """As it was last."""
        if uid:
            self._ended.append(uid)
        kept = self._items.get(name)
        if kept is None or kept.uid != uid:
            return None
        del self._items[name]
        for places in self._places.values():
            places.put(name, None)
        return self._model(kept)

    def relisted(self, synced: Delta) -> builtins.list[Change]:
        """The ends that nobody told."""
        gone = [(name, kept.uid) for name, kept in self._items.items() if is_ghost(synced, kept.uid, kept.version)]
        return [Change("deleted", self._kind.kind_name, name, self.forget(name, uid)) for name, uid in gone]

    def take(self, delta: Delta) -> Change:
        """News of the watch."""
        kind, meta = self._kind, delta.object["metadata"]
        name = meta["name"]
        if delta.type == "applied":
            kept = self._items.get(name)
            if kept is not None and (kept.uid, str(kept.version)) == (meta["uid"], meta["resourceVersion"]):
                return Change("applied", kind.kind_name, name, self._model(kept))  # told by the answer to the write
            item = to_resource(kind, delta.object)
            self.put(item)
            return Change("applied", kind.kind_name, name, item)
        last = self.forget(name, meta["uid"])
        known = to_resource(kind, delta.object) if "kind" in delta.object else last
        return Change("deleted", kind.kind_name, name, known)

    def _of(self, index: Index[R]) -> _Places:
        """Made at the first question, kept up to date from then on."""
        if index not in self._places:
            places = self._places[index] = _Places()
            for name, kept in self._items.items():
                places.put(name, index.of(self._model(kept)))
        return self._places[index]

    def _models(self, names: Iterable[str]) -> builtins.list[R]:
        return [self._model(self._items[name]) for name in names]

    def _model(self, kept: _Kept[R]) -> R:
        if isinstance(kept.body, bytes):
            return self._kind.model_validate_json(kept.body)
        return kept.body.model_copy()


class _Places:
    """Names by value, and how many; a resource has one value or none."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.counts: dict[str, int] = {}
        self._value: dict[str, str] = {}

    def put(self, name: str, value: str | None) -> None:
        before = self._value.pop(name, None)
        if value is not None:
            self._value[name] = value
        if before == value:
            return
        if before is not None:
            self.names[before].discard(name)
            self._count(before)
        if value is not None:
            self.names.setdefault(value, set()).add(name)
            self._count(value)

    def _count(self, value: str) -> None:
        if self.names[value]:
            self.counts[value] = len(self.names[value])
        else:
            del self.names[value]
            self.counts.pop(value, None)


def to_resource(kind: type[R], stored: Object) -> R:
    """The model. Fields that a later release wrote are ignored, so that going back one release works."""
    return kind.model_validate({"kind": kind.kind_name, "apiVersion": API_VERSION, **stored}, extra="ignore")


def _version(item: Resource) -> int:
    return int(item.metadata.resource_version or 0)
