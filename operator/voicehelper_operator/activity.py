"""How much cells are used, as their routers tell: who is idle, and for whom requests wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import httpx
from voicehelper_core.log import get_logger

from voicehelper_operator.routers import addresses

log = get_logger(__name__)
_LOOK_SECONDS = 5.0
_WAIT_SECONDS = 20
_RETRY_SECONDS = 1.0
_WANTED_SECONDS = 60.0
"""How long a wish of ours keeps a cell awake, or wakes it."""


class Activity(Protocol):
    """What the reconciler of cells asks."""

    def idle_seconds(self, cell_id: str) -> float | None:
        """Since the last request ended; None where that is not known, which is no idleness."""
        ...

    def awaited(self, cell_id: str) -> bool:
        """Whether somebody wants the cell awake: a request waits for it, or something here has to look at it."""
        ...

    def want(self, cell_id: str) -> None:
        """Something here has to look at the cell: it counts as used now."""
        ...

    async def parked(self, cell_id: str) -> bool:
        """Whether no request is in the cell, and every new one waits in front of it."""
        ...

    async def held(self, tenant: str) -> bool:
        """Whether every new request of the tenant waits."""
        ...


class NoActivity:
    """Where no router is known: nobody is idle, nobody is awaited."""

    def idle_seconds(self, cell_id: str) -> float | None:
        return None

    def awaited(self, cell_id: str) -> bool:
        return False

    def want(self, cell_id: str) -> None:
        """Nobody sleeps."""

    async def parked(self, cell_id: str) -> bool:
        return True

    async def held(self, tenant: str) -> bool:
        return True

    async def run(self) -> AsyncIterator[str]:
        """For ever nothing."""
        await asyncio.Event().wait()
        yield ""

    async def close(self) -> None:
        """There is nothing to close."""


class RoutersActivity:
    """Asks every router's control plane at ``url``; its host may have an address for each of them."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._clock = url.rstrip("/"), clock
        self._http = httpx.AsyncClient(timeout=_WAIT_SECONDS + 5, trust_env=False)
        self._used: dict[str, float] = {}
        self._counts: dict[tuple[str, str], tuple[str, int]] = {}
        self._held: dict[str, set[str]] = {}  # by router
        self._wanted: dict[str, float] = {}
        self._known_since: float | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def idle_seconds(self, cell_id: str) -> float | None:
        if self._known_since is None:
            return None
        return self._clock() - max(self._used.get(cell_id, 0.0), self._known_since)

    def awaited(self, cell_id: str) -> bool:
        wanted = self._wanted.get(cell_id)
        if wanted is not None and self._clock() - wanted > _WANTED_SECONDS:
            del self._wanted[cell_id]
            wanted = None
        return wanted is not None or any(cell_id in held for held in self._held.values())

    def want(self, cell_id: str) -> None:
        self._wanted[cell_id] = self._used[cell_id] = self._clock()

    async def parked(self, cell_id: str) -> bool:
        states = await self._asked(f"/cells/{cell_id}")
        return states is not None and all(state["parked"] and not state["in_flight"] for state in states)

    async def held(self, tenant: str) -> bool:
        states = await self._asked(f"/tenants/{tenant}")
        return states is not None and all(state["held"] for state in states)

    async def _asked(self, path: str) -> list[dict[str, Any]] | None:
        """What every router answers; None where one of them does not."""
        try:
            answers = [await self._http.get(f"{base}{path}") for base in await addresses(self._url)]
        except (httpx.HTTPError, OSError):
            return None
        states = [answer.json() for answer in answers if answer.status_code == 200]
        return states if len(states) == len(answers) else None

    async def run(self) -> AsyncIterator[str]:
        """Ids of cells for which requests begin to wait; for ever."""
        news: asyncio.Queue[str] = asyncio.Queue()
        tasks = [asyncio.create_task(self._count()), asyncio.create_task(self._listen(news))]
        try:
            while True:
                getting = asyncio.create_task(news.get())
                done, _ = await asyncio.wait({getting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task in done:
                        task.result()
                yield getting.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _count(self) -> None:
        """Who was used since the last look. A router that does not answer may carry requests of anybody."""
        while True:
            try:
                for base in await addresses(self._url):
                    answer = await self._http.get(f"{base}/cells/activity")
                    answer.raise_for_status()
                    self._counted(base, answer.json())
                self._known_since = self._clock() if self._known_since is None else self._known_since
            except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
                if self._known_since is not None:
                    log.warning("routers do not tell how cells are used", error_type=type(error).__name__)
                self._known_since = None
            await asyncio.sleep(_LOOK_SECONDS)

    def _counted(self, base: str, told: dict[str, object]) -> None:
        epoch, cells = str(told["epoch"]), told["cells"]
        assert isinstance(cells, dict)
        for cell_id, use in cells.items():
            before = self._counts.get((base, cell_id))
            self._counts[base, cell_id] = now = (epoch, int(use["requests"]))
            if use["active"] or (now != before and use["requests"]):
                self._used[cell_id] = self._clock()

    async def _listen(self, news: asyncio.Queue[str]) -> None:
        """A task a router, for as long as there is one."""
        following: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                try:
                    bases = await addresses(self._url)
                except OSError:
                    bases = []
                for base in following.keys() - set(bases):
                    following.pop(base).cancel()
                    self._held.pop(base, None)
                for base in set(bases) - following.keys():
                    following[base] = asyncio.create_task(self._follow(base, news))
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for task in following.values():
                task.cancel()

    async def _follow(self, base: str, news: asyncio.Queue[str]) -> None:
        version = ""
        while True:
            try:
                query = {"wait": str(_WAIT_SECONDS), "known": version} if version else {}
                answer = await self._http.get(f"{base}/cells/held", params=query)
                answer.raise_for_status()
                told = answer.json()
                version, held = str(told["version"]), set(told["held"])
            except (httpx.HTTPError, ValueError, KeyError):
                version = ""
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            now = self._clock()
            self._used.update(dict.fromkeys(held, now))
            begun = held - self._held.get(base, set())
            self._held[base] = held
            for cell_id in begun:
                news.put_nowait(cell_id)
