"""Asks of the resource store while it, and those who carry them out, may be away at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from voicehelper_core import errors
from voicehelper_core.embedded_store.connection import LOST
from voicehelper_core.ports import ResourceStore
from voicehelper_crds.resource import Resource

from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.platform import FiredOn

PATIENCE_SECONDS = 300
_POLL_SECONDS = 0.5
R = TypeVar("R", bound=Resource)
_AWAY = (errors.Unavailable, *LOST)
"""What the resource store may say while Postgres is away; people would try again."""


class Stuck(Exception):
    """Something that was asked for did not happen in time."""


class Patient:
    """Tries again, as people would. Raises Stuck."""

    def __init__(self, fired: FiredOn, ledger: Ledger) -> None:
        self._fired, self._ledger = fired, ledger

    async def _patiently(self, work: Callable[[ResourceStore], Awaitable[Any]], what: str) -> Any:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                async with self._fired.resources() as store:
                    return await work(store)
            except _AWAY as error:
                if time.monotonic() > end:
                    raise Stuck(f"{what}: {error!r}") from error
                await asyncio.sleep(_POLL_SECONDS)

    async def _applied(self, manifest: dict[str, Any]) -> None:
        what = f"{manifest['kind']}/{manifest['metadata']['name']} cannot be applied"
        await self._patiently(lambda store: store.apply(manifest), what)

    async def _until(self, kind: type[R], name: str, check: Callable[[R], bool], *, poll: float = _POLL_SECONDS) -> R:
        """The resource once it is there and passes."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            now = await self._found(kind, name)
            if now is not None and check(now):
                return now
            if time.monotonic() > end:
                raise Stuck(f"{kind.kind_name}/{name} did not get there in {PATIENCE_SECONDS} s: {_told(now)}")
            await asyncio.sleep(poll)

    async def _removed(self, kind: type[Resource], name: str) -> None:
        """Delete it and wait until it is gone."""

        async def ask(store: ResourceStore) -> None:
            with contextlib.suppress(errors.NotFound):
                await store.delete(kind, name)

        await self._patiently(ask, f"{kind.kind_name}/{name} cannot be deleted")
        end = time.monotonic() + PATIENCE_SECONDS
        while (left := await self._found(kind, name)) is not None:
            if time.monotonic() > end:
                raise Stuck(f"{kind.kind_name}/{name} was not gone after {PATIENCE_SECONDS} s: {_told(left)}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _found(self, kind: type[R], name: str) -> R | None:
        async def ask(store: ResourceStore) -> R | None:
            with contextlib.suppress(errors.NotFound):
                return await store.get(kind, name)
            return None

        found: R | None = await self._patiently(ask, f"{kind.kind_name}/{name} is not read")
        return found


def _told(resource: Resource | None) -> str:
    """What does not hold."""
    if resource is None:
        return "it is not there"
    status = resource.model_dump(mode="json", include={"status"})["status"]
    return "; ".join(f"{item['type']}: {item['message']}" for item in status["conditions"] if item["status"] != "True")
