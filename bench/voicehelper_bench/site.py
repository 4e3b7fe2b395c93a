"""Where a benchmark finds the parts of a running platform, and what they cost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from voicehelper_core import cell_bundle, embedded_store, names
from voicehelper_core.context import TenantContext
from voicehelper_core.ports import ResourceStore
from voicehelper_embedded import client
from voicehelper_embedded.context import DATABASE
from voicehelper_embedded.home import Home
from voicehelper_embedded.throwaway import Platform

from voicehelper_bench.memory import processor_seconds


@dataclass(frozen=True, slots=True)
class Place:
    """A tenant, its cell, and the cell's own credentials."""

    tenant: str
    tenant_id: str
    cell_id: str
    dsn: str
    """Postgres, as the cell's login."""

    @classmethod
    def of(cls, platform: Platform, tenant: str) -> Place:
        """Raises AssertionError for a tenant that is not there."""
        status = platform.resource("tenant", tenant)["status"]
        cell = platform.resource("cell", status["cell"])["status"]["cellId"]
        bundle = json.loads((platform.home / "secrets" / f"{names.cell_secret(cell)}.json").read_text())
        at = f"127.0.0.1:{platform.ports['postgres']}/{DATABASE}"
        login = names.login_role(cell, cell_bundle.current(bundle))
        dsn = f"postgresql://{login}:{cell_bundle.password(bundle, cell_bundle.POSTGRES)}@{at}"
        return cls(tenant, status["tenantId"], cell, dsn)

    def who(self, user: str) -> TenantContext:
        """The tenant's context for a user of that id."""
        return TenantContext(self.tenant_id, self.tenant, user, self.cell_id)

    @property
    def process(self) -> str:
        """Name of the cell's process."""
        return f"cell-{self.cell_id}"


@asynccontextmanager
async def postgres(platform: Platform) -> AsyncIterator[asyncpg.Connection]:
    """A connection to Postgres as its superuser."""
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def resources(platform: Platform) -> AsyncIterator[ResourceStore]:
    """The platform's resources."""
    pool = await embedded_store.connect(platform.postgres_dsn)
    try:
        yield embedded_store.PostgresResourceStore(pool)
    finally:
        await pool.close()


def pids(platform: Platform) -> dict[str, int]:
    """Process ids by component, cells included. Raises AssertionError where no supervisor answers."""
    running: Any = client.components(Home(Path(platform.home)), memory=False)
    if running is None:
        raise AssertionError(f"no platform runs in {platform.home}")
    return {item["name"]: item["pid"] for item in running["components"] if item["pid"]}


def cpu_seconds(processes: Mapping[str, int], wanted: Iterable[str] | None = None) -> dict[str, float]:
    """User and system time so far by component, with that of its children."""
    return {name: processor_seconds(pid) for name, pid in processes.items() if wanted is None or name in set(wanted)}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds between two readings; a process that was replaced counts as nothing."""
    return {name: max(0.0, after.get(name, 0.0) - value) for name, value in before.items()}
