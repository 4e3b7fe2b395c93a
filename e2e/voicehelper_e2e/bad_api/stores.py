"""Stores, identity and workloads that are files: they answer at once and survive the operator.

They have the fault points of the real ones, in their order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from voicehelper_core import faults
from voicehelper_operator.app import Neighbours
from voicehelper_operator.identity import Admin, AdminState
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.workloads.interface import WorkloadSpec, WorkloadState

from voicehelper_e2e.operator_stubs import StubIdentity, StubProber, StubRuntime, StubSlice

STORES = {
    "postgres": (("operator.postgres", "operator.publication"), "operator.placement"),
    "kafka": (("operator.kafka",), ""),
    "milvus": (("operator.milvus",), "operator.partition"),
    "objects": (("operator.objects",), ""),
}
"""Steps of a cell's part and of a tenant's."""


class FileSlice(StubSlice):
    """A folder a cell; a file a tenant for its access, and one for its data."""

    def __init__(self, store: str, root: Path) -> None:
        super().__init__(store)
        self._root = root / store
        self._cell_steps, self._tenant_step = STORES[store]

    def _place(self, cell: CellRef, file: str) -> Path:
        return self._root / cell.cell_id / file

    async def observe(self, cell: CellRef) -> list[str]:
        return [step for step in self._cell_steps if not self._place(cell, step).exists()]

    async def ensure(self, cell: CellRef) -> list[str]:
        made = await self.observe(cell)
        for step in made:
            await faults.point(f"{step}.before")
            self._place(cell, step).parent.mkdir(parents=True, exist_ok=True)
            self._place(cell, step).touch()
            await faults.point(f"{step}.effect")
        return made

    async def remove(self, cell: CellRef) -> None:
        for file in (self._root / cell.cell_id).glob("*"):
            file.unlink()
        if (self._root / cell.cell_id).exists():
            (self._root / cell.cell_id).rmdir()

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        if not await self.lacking(cell, [tenant]):
            return []
        if self._tenant_step:
            await faults.point(f"{self._tenant_step}.before")
        self._place(cell, f"data-{tenant.tenant_id}").touch()
        self._place(cell, f"tenant-{tenant.tenant_id}").write_text(_told(tenant))
        if self._tenant_step:
            await faults.point(f"{self._tenant_step}.effect")
        return [f"tenant of {self.store}"]

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        files = {item.tenant_id: self._place(cell, f"tenant-{item.tenant_id}") for item in tenants}
        return {
            item.tenant_id
            for item in tenants
            if not (file := files[item.tenant_id]).exists() or file.read_text() != _told(item)
        }

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        for kind in ("tenant", *(("data",) if data else ())):
            self._place(cell, f"{kind}-{tenant_id}").unlink(missing_ok=True)


class FileIdentity(StubIdentity):
    """A file a tenant."""

    def __init__(self, root: Path) -> None:
        self._root = root / "identity"
        self._root.mkdir(parents=True, exist_ok=True)

    async def ensure_tenant(self, name: str, tenant_id: str, admin: Admin, max_users: int) -> AdminState:
        file = self._root / tenant_id
        if not file.exists():
            file.write_text(admin.password)
        return AdminState(file.read_text() == admin.password, "the password is another", 1)

    async def remove_tenant(self, tenant_id: str) -> None:
        (self._root / tenant_id).unlink(missing_ok=True)


class FileRuntime(StubRuntime):
    """A file a cell that runs, and one for its migrations."""

    def __init__(self, root: Path) -> None:
        self._root = root / "running"
        self._root.mkdir(parents=True, exist_ok=True)

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        (self._root / spec.cell_id).touch()
        return await super().ensure(spec)

    async def observe(self, cell_id: str) -> WorkloadState | None:
        return await super().observe(cell_id) if (self._root / cell_id).exists() else None

    async def sleep(self, spec: WorkloadSpec) -> bool:
        (self._root / spec.cell_id).unlink(missing_ok=True)
        return True

    async def remove(self, cell_id: str) -> str | None:
        (self._root / cell_id).unlink(missing_ok=True)
        return None


def neighbours(root: Path) -> Neighbours:
    """Everything around the reconcilers."""
    return Neighbours(tuple(FileSlice(store, root) for store in STORES), FileIdentity(root), StubProber())


def cells(root: Path) -> set[str]:
    """Ids of cells that anything is kept of."""
    found = {folder.name for store in STORES for folder in (root / store).glob("*")}
    return found | {file.name for file in (root / "running").glob("*")}


def tenants(root: Path) -> set[tuple[str, str]]:
    """Stores and ids of tenants that anything is kept of."""
    files = [(store, file.name) for store in STORES for file in (root / store).glob("*/*-*")]
    known = {(store, name.partition("-")[2]) for store, name in files if name.startswith(("tenant-", "data-"))}
    return known | {("identity", file.name) for file in (root / "identity").glob("*")}


def _told(tenant: TenantRef) -> str:
    return json.dumps([tenant.name, tenant.suspended, dict(tenant.limits)], sort_keys=True)
