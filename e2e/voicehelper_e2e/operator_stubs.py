"""Stores, identity, router and workloads that answer at once and remember nothing: after a restart all is in place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from voicehelper_operator.app import Neighbours
from voicehelper_operator.identity import Admin, AdminState
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.workloads.interface import WorkloadSpec, WorkloadState

RELEASE = "r00000000001"
ENDPOINT = "http://router"
GRACE_SECONDS = 2.0
"""Between the end of a tenant's access and the removal of its data, as the operator waits."""


class StubSlice:
    """``slices.interface.Slice``."""

    isolated = True

    def __init__(self, store: str) -> None:
        self.store = store

    async def observe(self, cell: CellRef) -> list[str]:
        return []

    async def ensure(self, cell: CellRef) -> list[str]:
        return []

    async def verify(self, cell: CellRef) -> str | None:
        return None

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        return

    async def remove(self, cell: CellRef) -> None:
        return

    async def archive(self, cell: CellRef) -> None:
        return

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        return []

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        return set()

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        return


class StubIdentity:
    """``identity.Identity``."""

    async def ensure_tenant(self, name: str, tenant_id: str, admin: Admin, max_users: int) -> AdminState:
        return AdminState(True, "", 1)

    async def remove_tenant(self, tenant_id: str) -> None:
        return

    async def service_token(self, name: str, tenant_id: str, scope: str) -> str:
        return "token"


class StubProber:
    """``probe.Prober``."""

    async def probe(
        self, name: str, tenant_id: str, cell_id: str, *, patience: float = 0, canary: str = ""
    ) -> str | None:
        return None


class StubRuntime:
    """``workloads.interface.WorkloadRuntime``."""

    topologies = frozenset({"compact"})
    seamless = True
    canaries = frozenset[str]()

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        return _running()

    async def observe(self, cell_id: str) -> WorkloadState | None:
        return _running()

    async def changes(self) -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    async def sleep(self, spec: WorkloadSpec) -> bool:
        return True

    async def remove(self, cell_id: str) -> str | None:
        return None

    async def run_once(self, spec: WorkloadSpec, command: str) -> str:
        return '{"schema_revision": "stub=1"}\n'

    async def close(self) -> None:
        return


def _running() -> WorkloadState:
    return WorkloadState(True, "ready", 0, "", RELEASE, "127.0.0.1:1", "127.0.0.1:2", settled=True)


def slices() -> tuple[StubSlice, ...]:
    """One a store, as many as there are really."""
    return tuple(StubSlice(store) for store in ("postgres", "kafka", "milvus", "objects"))


def neighbours() -> Neighbours:
    """Everything around the reconcilers."""
    return Neighbours(slices(), StubIdentity(), StubProber())
