"""How soon a change of one tenant is effective, and whether anybody meets a wrong answer on the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from voicehelper_core.embedded_store import PostgresResourceStore
from voicehelper_crds import Cell, Tenant

from voicehelper_bench import wire
from voicehelper_bench.router import database

_LIMIT_SECONDS = 30.0


@dataclass
class Probe:
    """One connection that asks for one tenant, again and again, and notes who answers."""

    port: int
    tenant: str
    token: str
    wrong: list[str] = field(default_factory=list)
    asked: int = 0
    server: str = ""
    """Who answered last."""
    since: float = 0.0
    """When that one answered first, on the clock of ``time.perf_counter``."""
    allowed: frozenset[str] = frozenset()

    async def run(self) -> None:
        """For ever."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        headers = {"x-tenant-id": self.tenant, "authorization": f"Bearer {self.token}"}
        request = wire.request("GET", "/api/v1/conversations", headers)
        try:
            while True:
                writer.write(request)
                self._note(*await wire.answer(reader))
                await asyncio.sleep(0.001)
        finally:
            writer.close()

    def _note(self, status: int, body: bytes) -> None:
        self.asked += 1
        answered = json.loads(body)["server"] if status == 200 else str(status)
        if answered != self.server:
            self.server, self.since = answered, time.perf_counter()
        if answered not in self.allowed:
            self.wrong.append(answered)

    async def until(self, server: str) -> float:
        """When ``server`` answered first. Raises TimeoutError."""
        async with asyncio.timeout(_LIMIT_SECONDS):
            while self.server != server:
                await asyncio.sleep(0.001)
        return self.since


@contextlib.asynccontextmanager
async def probing(port: int, tenant: str, token: str, servers: frozenset[str]) -> AsyncIterator[Probe]:
    """A probe that runs; answers of others than ``servers`` are wrong."""
    probe = Probe(port, tenant, token, allowed=servers)
    task = asyncio.create_task(probe.run())
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            while not probe.asked:
                await asyncio.sleep(0.005)
                if task.done():
                    task.result()
        yield probe
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@dataclass(frozen=True, slots=True)
class Changed:
    """Seconds of one change to the first answer of the new cell: since before the write, and since its end."""

    from_write: float
    from_commit: float


async def move(store: PostgresResourceStore, probe: Probe, number: int, cell: str, server: str) -> Changed:
    """Place the tenant in ``cell``, whose ``server`` answers, as the operator does."""
    began = time.perf_counter()
    await store.update_status(Tenant, probe.tenant, database.tenant_status(number, cell))
    committed = time.perf_counter()
    effective = await probe.until(server)
    return Changed(effective - began, effective - committed)


async def to_and_fro(
    store: PostgresResourceStore, port: int, number: int, token: str, *, cells: dict[str, str], times: int
) -> tuple[list[Changed], Probe]:
    """Move one tenant between two cells (server by cell) that exist already; what each change took."""
    changes = []
    async with probing(port, database.tenant_name(number), token, frozenset(cells.values())) as probe:
        order = [cell for cell, server in cells.items() if server != probe.server]
        order += [cell for cell, server in cells.items() if server == probe.server]
        for turn in range(times):
            cell = order[turn % 2]
            changes.append(await move(store, probe, number, cell, cells[cell]))
            await asyncio.sleep(0.05)
    return changes, probe


async def to_new_cells(
    store: PostgresResourceStore, port: int, number: int, token: str, *, servers: dict[str, int], times: int
) -> tuple[list[Changed], Probe]:
    """Move one tenant to a cell that was made a moment ago, and remove the one that it leaves, again and again."""
    changes: list[Changed] = []
    names, left = list(servers), ""
    async with probing(port, database.tenant_name(number), token, frozenset(names)) as probe:
        other = names.index(probe.server) + 1
        for turn in range(times):
            server = names[(other + turn) % len(names)]
            cell = f"moved{turn:07}"
            await store.apply(
                {"apiVersion": "voicehelper.io/v1alpha1", "kind": "Cell", "metadata": {"name": cell}, "spec": {}}
            )
            await store.update_status(Cell, cell, database.cell_status(cell, servers[server]))
            changes.append(await move(store, probe, number, cell, server))
            if left:
                await store.delete(Cell, left)
            left = cell
    return changes, probe
