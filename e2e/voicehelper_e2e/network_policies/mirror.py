"""What an API server has of one kind, kept up to date: a list, then a watch from there, and again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

WATCH_SECONDS = 120
"""How long a watch lasts. A new list follows, so nothing that a watch may have missed stays missing for longer."""
_PAUSE_SECONDS = 0.5
_GONE = 410


class Response(Protocol):
    """An answer over HTTP, as aiohttp has it."""

    @property
    def content(self) -> AsyncIterable[bytes]:
        """Its lines as they come."""

    async def json(self) -> Any:
        """All of it."""

    def raise_for_status(self) -> None:
        """Raises where it is an error."""

    def release(self) -> Any:
        """No more of it is wanted."""


class Mirror:
    """Of one kind; ``listing`` asks for all of it, ``changed`` is called after each change."""

    def __init__(
        self,
        listing: Callable[..., Awaitable[Response]],
        changed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._listing, self._changed, self._failed = listing, changed, failed
        self._items: dict[str, Mapping[str, Any]] = {}
        self.complete = False
        """Whether there was a list already."""

    @property
    def items(self) -> Iterable[Mapping[str, Any]]:
        """Manifests."""
        return self._items.values()

    async def follow(self) -> None:
        """For ever. While the API server is away, what it had last stays."""
        while True:
            try:
                await self._watch(await self._list())
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _list(self) -> str:
        """The version that was listed."""
        response = await self._listing()
        response.raise_for_status()
        listed = await response.json()
        self._items = {_key(item): item for item in listed["items"]}
        self.complete = True
        self._changed()
        return str(listed["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        """Until the API server ends it, or no longer has what happened since then."""
        response = await self._listing(watch=True, resource_version=version, timeout_seconds=WATCH_SECONDS)
        try:
            response.raise_for_status()
            async for line in response.content:
                event = json.loads(line)
                item = event["object"]
                match event["type"]:
                    case "ADDED" | "MODIFIED":
                        self._items[_key(item)] = item
                    case "DELETED":
                        self._items.pop(_key(item), None)
                    case "ERROR" if item.get("code") == _GONE:
                        return
                    case other:
                        raise ValueError(f"the watch says {other}: {item.get('message')}")
                self._changed()
        finally:
            response.release()


def _key(item: Mapping[str, Any]) -> str:
    """Of the same name two may follow each other; the one that goes must not take the other with it."""
    return str(item["metadata"]["uid"])
