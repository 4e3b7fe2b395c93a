"""What is: the cell, its class, what its slices lack, its workload, who lives in it."""

from __future__ import annotations

from dataclasses import dataclass

from voicehelper_core.errors import NotFound
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell, CellClass, Tenant

from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.workloads.interface import WorkloadRuntime, WorkloadState


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the plan depends on."""

    cell: Cell
    connections: int | None
    """Postgres connections of the class; None when the class does not exist."""
    tenants: int
    """Tenants that name this cell in their status."""
    release: str
    """The release that should run."""
    workload: WorkloadState | None

    @property
    def ref(self) -> CellRef:
        """The cell for its slices; only once it has an id."""
        assert self.cell.status.cell_id
        return CellRef(self.cell.status.cell_id, self.connections or 10)


async def observe(store: ResourceStore, runtime: WorkloadRuntime, name: str, release: str) -> Observation:
    """Raises NotFound when the cell is gone."""
    cell = await store.get(Cell, name)
    try:
        connections: int | None = (await store.get(CellClass, cell.spec.class_ref)).spec.postgres_connections
    except NotFound:
        connections = None
    placed = sum(tenant.status.cell == name for tenant in await store.list(Tenant))
    cell_id = cell.status.cell_id
    workload = await runtime.observe(cell_id) if cell_id else None
    return Observation(cell, connections, placed, cell.spec.release or release, workload)
