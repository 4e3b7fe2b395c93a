"""Kills processes of a running platform and measures how long they are away."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil
from voicehelper_core import embedded_store, faults
from voicehelper_crds import Cell, Tenant
from voicehelper_embedded.throwaway import Platform
from voicehelper_embedded.watched import Watched

COMPONENTS = (
    "postgres", "kafka", "connect", "milvus", "inference", "xds", "router", "analytics", "control-plane",
)  # fmt: skip
"""Everything but the cells. ``control-plane`` is identity and the reconcilers in one process."""
RETURN_SECONDS = 150
_POLL_SECONDS = 0.3


class NotBack(Exception):
    """A component did not serve again in time."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Who was killed, and when on the monotonic clock."""

    component: str
    pid: int
    at: float


class FiredOn:
    """The platform from the side of those who shoot at it. All waits poll every 0.3 s, which bounds what they measure.

    ``throwaway(faults=True)`` starts platforms so that fault points can be armed.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform, self.watched = platform, Watched(platform)

    @property
    def faults(self) -> Path:
        """Where points are armed."""
        return self.platform.faults

    async def pids(self) -> dict[str, int]:
        """Pids of components and cells by name (``postgres``, ``cell-<id>``)."""
        return await asyncio.to_thread(self.watched.pids)

    async def kill(self, name: str) -> Kill | None:
        """``kill -9``; None where it does not run at the moment."""
        pid = (await self.pids()).get(name)
        try:
            if pid is None:
                return None
            psutil.Process(pid).kill()
        except psutil.NoSuchProcess:
            return None
        return Kill(name, pid, time.monotonic())

    async def returned(self, kill: Kill, seconds: float = RETURN_SECONDS) -> float:
        """Seconds from the kill until another process of that name serves. Raises NotBack."""
        return await self.ready(kill.component, not_pid=kill.pid, since=kill.at, seconds=seconds)

    async def ready(
        self, name: str, *, not_pid: int | None = None, since: float | None = None, seconds: float = RETURN_SECONDS
    ) -> float:
        """Seconds until a component serves (as another process than ``not_pid``), counted from ``since``.

        A cell that is removed meanwhile counts as returned. Raises NotBack.
        """
        begun = since or time.monotonic()
        while True:
            components = await asyncio.to_thread(self.watched.components)
            now = components.get(name)
            gone = now is None and name.startswith("cell-") and bool(components)
            if gone or (now and now["state"] == "ready" and now["pid"] not in (None, not_pid)):
                return time.monotonic() - begun
            if time.monotonic() - begun > seconds:
                raise NotBack(f"{name} did not serve again in {seconds:g} s: {now}")
            await asyncio.sleep(_POLL_SECONDS)

    async def all_ready(self, seconds: float = RETURN_SECONDS) -> None:
        """Wait for every component and cell. Raises NotBack."""
        end = time.monotonic() + seconds
        while (now := await asyncio.to_thread(self.watched.status))["state"] != "running":
            if time.monotonic() > end:
                late = [
                    f"{i['name']}: {i['message'] or i['state']}" for i in now["components"] if i["state"] != "ready"
                ]
                raise NotBack(f"not everything serves again after {seconds:g} s: {'; '.join(late)}")
            await asyncio.sleep(_POLL_SECONDS)

    async def freeze(self, name: str, seconds: float) -> int:
        """SIGSTOP a component with its children for so long; its pid."""
        pid = (await self.pids())[name]
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        try:
            for member in family:
                member.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            for member in family:
                if member.is_running():
                    member.send_signal(signal.SIGCONT)
        return pid

    def arm(self, point: str, action: str = "kill") -> None:
        """The first process that gets to a fault point dies there, once (``core.faults``)."""
        faults.arm(self.faults, point, action)

    def armed(self) -> list[str]:
        """Points that were armed and that no process got to yet."""
        return sorted(path.name for path in self.faults.glob("[!.]*")) if self.faults.is_dir() else []

    def disarm(self, point: str) -> bool:
        """Take a point back; False where it has struck."""
        try:
            (self.faults / point).unlink()
        except FileNotFoundError:
            return False
        return True

    @asynccontextmanager
    async def postgres(self) -> AsyncIterator[asyncpg.Connection]:
        """As the superuser."""
        connection = await asyncpg.connect(self.platform.postgres_dsn, timeout=10)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def resources(self) -> AsyncIterator[embedded_store.PostgresResourceStore]:
        """The resource store, as people and pipelines reach it."""
        pool = await embedded_store.connect(self.platform.secrets["control_plane_dsn"])
        try:
            yield embedded_store.PostgresResourceStore(pool)
        finally:
            pool.terminate()

    async def live(self) -> tuple[Sequence[Tenant], Sequence[Cell]]:
        """Tenants and cells that exist now."""
        async with self.resources() as store:
            return await store.list(Tenant), await store.list(Cell)
