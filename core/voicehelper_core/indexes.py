"""Resources by something that they say, as informers' indexers have it: without looking at all of a kind each time.

A store that keeps what it reads (``Indexed``) answers from an index; of others all are listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from voicehelper_crds import Resource

from voicehelper_core.ports import ResourceStore

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Index(Generic[R]):
    """``of`` gives the value of a resource, None where it has none. Pure."""

    kind: type[R]
    of: Callable[[R], str | None]


@runtime_checkable
class Indexed(Protocol):
    """A store that answers from an index."""

    async def counts(self, index: Index[Any]) -> Mapping[str, int]:
        """How many there are of each value; values of nobody are left out."""
        ...

    async def having(self, index: Index[R], value: str) -> list[R]:
        """Those with the value, by name."""
        ...


async def counts(store: ResourceStore, index: Index[R]) -> Mapping[str, int]:
    """How many there are of each value; values of nobody are left out."""
    if isinstance(store, Indexed):
        return await store.counts(index)
    return counted(index, await store.list(index.kind))


async def having(store: ResourceStore, index: Index[R], value: str) -> list[R]:
    """Those with the value, by name."""
    if isinstance(store, Indexed):
        return await store.having(index, value)
    return selected(index, await store.list(index.kind), value)


def counted(index: Index[R], items: list[R]) -> Mapping[str, int]:
    """``counts`` of what was read."""
    return Counter(value for item in items if (value := index.of(item)) is not None)


def selected(index: Index[R], items: list[R], value: str) -> list[R]:
    """``having`` of what was read."""
    return [item for item in items if index.of(item) == value]
