"""List and watch: every object, then every change, for ever.

Here and not by kopf's watch, since a deletion that happened while the watch was away has to be told too
(ADR 20).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from voicehelper_core.errors import AppError
from voicehelper_core.kubernetes_api import metrics
from voicehelper_core.kubernetes_api.client import Api, Gone, Object
from voicehelper_core.kubernetes_api.kinds import Kind
from voicehelper_core.log import get_logger

log = get_logger(__name__)
_FIRST_RETRY, _LAST_RETRY = 0.2, 5.0
_SHORT, _LONG = 1.0, 10.0
"""A watch that ends sooner is begun anew after a pause; one that lived so long starts the pauses anew."""
_AHEAD = 500
"""News that wait for their reader; the API server keeps the rest."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects: of a kind, in all namespaces, by labels and fields as the API writes selectors."""

    kind: Kind
    labels: str = ""
    fields: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """What became known. A deleted object comes as it was last, or with its metadata only.

    ``synced`` ends a list, with its version and the ``uids`` of all that is there: see ``is_ghost``.
    """

    type: Literal["applied", "deleted", "synced"]
    kind: Kind
    object: Object


def is_ghost(synced: Delta, uid: str | None, version: int) -> bool:
    """Whether an object that is known from an answer to one's own write has gone without a word.

    Who never heard of it from the watch is not told of its end either, when that was while the watch was away. What
    is younger than the list will be told yet.
    """
    listed = synced.object
    return uid not in listed["uids"] and version <= int(listed["metadata"]["resourceVersion"])


class _Follower:
    """What was told, so that a new list tells only the difference."""

    def __init__(self, api: Api, selection: Selection) -> None:
        self._api, self._selection = api, selection
        self._known: dict[tuple[str, str], tuple[str, str]] = {}  # (namespace, name) -> (uid, version)
        self._version: str | None = None

    async def run(self) -> AsyncIterator[Delta]:
        """A list, and what comes after it; raises what the API does."""
        selection = self._selection
        if self._version is None:
            there: set[tuple[str, str]] = set()
            version = ""
            pages = self._api.pages(selection.kind, labels=selection.labels, fields=selection.fields)
            async with aclosing(pages):
                async for items, at in pages:
                    version = at
                    for item in items:
                        there.add(_key(item))
                        for delta in self._news(item):
                            yield delta
            for key in self._known.keys() - there:
                yield self._ended(key)
            self._version = version
            listed = frozenset(uid for uid, _ in self._known.values())
            yield Delta("synced", selection.kind, {"metadata": {"resourceVersion": version}, "uids": listed})
        stream = self._api.watch(selection.kind, self._version, labels=selection.labels, fields=selection.fields)
        try:
            async for type_, item in stream:
                meta = item["metadata"]
                self._version = meta["resourceVersion"]
                if type_ == "DELETED":
                    self._known.pop(_key(item), None)
                    yield Delta("deleted", selection.kind, item)
                elif type_ != "BOOKMARK":
                    self._known[_key(item)] = (meta["uid"], meta["resourceVersion"])
                    yield Delta("applied", selection.kind, item)
        except Gone:
            self._version = None
            raise

    def _news(self, item: Object) -> list[Delta]:
        """What an object of a list tells."""
        key, now = _key(item), (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        before = self._known.get(key)
        if before == now:
            return []
        ended = [self._ended(key)] if before is not None and before[0] != now[0] else []
        self._known[key] = now
        return [*ended, Delta("applied", self._selection.kind, item)]

    def _ended(self, key: tuple[str, str]) -> Delta:
        uid, _ = self._known.pop(key)
        return Delta("deleted", self._selection.kind, {"metadata": {"namespace": key[0], "name": key[1], "uid": uid}})


async def follow(api: Api, selection: Selection) -> AsyncIterator[Delta]:
    """Never ends by itself; ``synced`` after each list."""
    follower, retry = _Follower(api, selection), _FIRST_RETRY
    while True:
        began = time.monotonic()
        try:
            async for delta in follower.run():
                yield delta
        except AppError as error:
            metrics.WATCH_RESTARTS.labels(selection.kind.name).inc()
            log.log(
                logging.INFO if isinstance(error, Gone) else logging.WARNING,
                "the watch has to begin anew", kind=selection.kind.name, error=error.detail[:300],
                retry_seconds=round(retry, 1),
            )  # fmt: skip
        else:
            if time.monotonic() - began >= _SHORT:
                retry = _FIRST_RETRY
                continue  # the server ends each watch after some minutes
        # What fails or ends at once would be asked without end, and a list of all each time.
        await asyncio.sleep(retry * random.uniform(0.8, 1.2))  # noqa: S311
        retry = _FIRST_RETRY if time.monotonic() - began >= _LONG else min(retry * 2, _LAST_RETRY)


async def follow_all(api: Api, *selections: Selection) -> AsyncIterator[Delta]:
    """Several at once; ``synced`` of each."""
    queue: asyncio.Queue[Delta | Exception] = asyncio.Queue(_AHEAD)

    async def feed(selection: Selection) -> None:
        try:
            async for delta in follow(api, selection):
                await queue.put(delta)
        except Exception as error:  # the consumer has to hear of it
            await queue.put(error)

    tasks = [asyncio.create_task(feed(selection), name=f"follow-{selection.kind.plural}") for selection in selections]
    try:
        while True:
            found = await queue.get()
            if isinstance(found, Exception):
                raise found
            yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
