"""Tenants by the API, timed by a watch: as somebody outside sees them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType

from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_crds import API_VERSION

TENANT, CELL = OURS["Tenant"], OURS["Cell"]
CAPACITY = 100
_AT_ONCE = 32
_PREPARED_SECONDS = 120
_MANAGER = "bench"


class Tenants:
    """Use it as a context: it watches meanwhile."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._task: asyncio.Task[None] | None = None
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._waiting: dict[tuple[str, str], asyncio.Future[float]] = {}

    async def __aenter__(self) -> Tenants:
        _, version = await self._api.list(TENANT)
        self._task = asyncio.create_task(self._watch(version))
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._task
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, version: str) -> None:
        while True:
            async for type_, item in self._api.watch(TENANT, version):
                version = item["metadata"]["resourceVersion"]
                if type_ == "DELETED":
                    self._seen("gone", item)
                elif type_ != "BOOKMARK":
                    for kind in ("Routable", "Ready"):
                        if holds(item, kind):
                            self._seen(kind, item)

    def _seen(self, what: str, item: Object) -> None:
        waiting = self._waiting.pop((what, item["metadata"]["name"]), None)
        if waiting is not None:
            waiting.set_result(time.perf_counter())

    def _wait(self, what: str, name: str) -> asyncio.Future[float]:
        waiting: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[what, name] = waiting
        return waiting

    async def _moment(self, waiting: asyncio.Future[float]) -> float:
        """Raises what ended the watch."""
        assert self._task
        either: set[asyncio.Future[float] | asyncio.Future[None]] = {waiting, self._task}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            self._task.result()
        return waiting.result()

    async def prepare(self, cells: int) -> None:
        """A class, a plan and so many cells that are ready."""
        for kind, name in (("CellClass", "standard"), ("TenantPlan", "team")):
            await self._api.create(_manifest(kind, name, {}), manager=_MANAGER)
        names = [f"shared-{number:04d}" for number in range(cells)]
        for name in names:
            await self._api.create(_manifest("Cell", name, {"capacity": CAPACITY}), manager=_MANAGER)
        async with asyncio.timeout(_PREPARED_SECONDS):
            while sum(holds(item, "Ready") for item in (await self._api.list(CELL))[0]) < cells:
                await asyncio.sleep(0.2)

    async def create(self, name: str) -> float:
        """Seconds until it is routable."""
        routable, ready = self._wait("Routable", name), self._wait("Ready", name)
        spec = {"planRef": "team", "admin": {"email": f"admin@{name}.example"}, "deletion": {"policy": "Delete"}}
        async with self._gate:
            began = time.perf_counter()
            await self._api.create(_manifest("Tenant", name, spec), manager=_MANAGER)
        took = await self._moment(routable) - began
        await self._moment(ready)
        return took

    async def delete(self, name: str) -> float:
        """Seconds until it is gone."""
        gone = self._wait("gone", name)
        async with self._gate:
            began = time.perf_counter()
            await self._api.delete(TENANT, name)
        return await self._moment(gone) - began

    async def create_all(self, names: Sequence[str]) -> list[float]:
        """As fast as the API server takes them; until all are ready."""
        return await asyncio.gather(*map(self.create, names))

    async def delete_all(self, names: Sequence[str]) -> list[float]:
        """The same until all are gone."""
        return await asyncio.gather(*map(self.delete, names))


def holds(item: Object, kind: str) -> bool:
    """Whether a condition of the object is True."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _manifest(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
