"""What is: the cell, its class, what its slices lack, its workload, who lives in it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from voicehelper_core.archive.manifest import RESTORING
from voicehelper_core.errors import NotFound
from voicehelper_core.indexes import counts
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell, CellClass, CellRelease, Tenant, holds
from voicehelper_crds.cells import CellClassSpec

from voicehelper_operator.activity import Activity
from voicehelper_operator.cells import canary
from voicehelper_operator.cells import rotation as rotating
from voicehelper_operator.engine import pause
from voicehelper_operator.engine.pause import Pause
from voicehelper_operator.releases.assignment import Assignment, assigned, newest
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import NO_ROTATION, CellCredentials, Rotation
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.tenants.observe import BY_CELL
from voicehelper_operator.workloads.interface import Size, WorkloadRuntime, WorkloadState


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the plan depends on."""

    cell: Cell
    cell_class: CellClassSpec | None
    """None when the class does not exist."""
    tenants: int
    """Tenants that name this cell in their status, without an owner that is being deleted."""
    release: str
    """The release that should run."""
    workload: WorkloadState | None
    owner: Tenant | None = None
    """The tenant that the cell was made for, while it is there."""
    idle: float | None = None
    """Seconds since the last request; None where that is not known."""
    awaited: bool = False
    """Whether a request waits for the cell."""
    topologies: frozenset[str] = frozenset({"compact"})
    """What the runtime can run."""
    seamless: bool = True
    """Whether the runtime replaces what runs without a gap."""
    rotation: Rotation = NO_ROTATION
    """How far the rotation of the cell's passwords is."""
    due: bool = False
    """Whether one should begin."""
    postponed: bool = False
    """Whether the workload must not be stopped for it now."""
    moving: bool = False
    """Whether a rollout brings the cell to its release, or back: it does not fall asleep meanwhile."""
    beside: bool = False
    """Whether the release stays beside the one that serves."""
    weight: int = 0
    """Percent of the users that it gets then."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When all this was looked at."""

    @property
    def lingers(self) -> str | None:
        """The release that runs beside what serves though it is not tried (any more): requests may be sent to it."""
        return None if self.beside else canary.lingering(self.cell.status, self.now)

    @property
    def policy(self) -> str:
        """What becomes of the data: the owner's word as it is now, or the cell's own."""
        return (self.owner or self.cell).spec.deletion.policy

    @property
    def left(self) -> bool:
        """Whether the tenant that the cell was made for has moved: what it has lives elsewhere."""
        owner = self.owner.status if self.owner is not None else None
        return owner is not None and owner.cell_id is not None and owner.cell_id != self.cell.status.cell_id

    @property
    def pause(self) -> Pause | None:
        """Why nothing may be changed now."""
        return pause.of(self.cell, self.owner)

    @property
    def forced(self) -> str:
        """Why the cell has to sleep whoever asks; empty where it need not."""
        if self.cell.spec.hibernate:
            return "spec.hibernate is true: set it to false to wake the cell"
        restored = self.owner is not None and RESTORING in self.owner.metadata.annotations  # its data needs the schema
        if self.owner is not None and self.owner.spec.suspended and not restored:
            return f"tenant '{self.owner.metadata.name}' is suspended"
        return ""

    @property
    def drowsy(self) -> bool:
        """Whether the cell may sleep until somebody asks: it sleeps on, or nobody has asked for long enough."""
        after = self.cell.spec.idle_after_seconds
        if after is None or self.awaited or self.moving:
            return False
        if self.cell.status.hibernation == "Idle" and self.workload is None:
            return True
        return self.idle is not None and self.idle >= after

    @property
    def migrated(self) -> bool:
        """Whether the schemas are at the release that should run."""
        status = self.cell.status
        known = {status.release, status.canary.release if status.canary is not None else None}
        return self.release in known and status.schema_revision is not None

    @property
    def ref(self) -> CellRef:
        """The cell for its slices; only once it has an id."""
        assert self.cell.status.cell_id
        return CellRef(
            self.cell.status.cell_id, (self.cell_class or CellClassSpec()).postgres_connections, self.cell.spec.topology
        )

    @property
    def size(self) -> Size:
        """What the class gives the workload."""
        given = self.cell_class or CellClassSpec()
        return Size(
            given.cpu,
            given.memory,
            given.replicas,
            given.priority_class,
            given.max_replicas,
            given.target_requests_per_second,
        )


async def observe(
    name: str,
    settings: OperatorSettings,
    *,
    store: ResourceStore,
    runtime: WorkloadRuntime,
    activity: Activity,
    credentials: CellCredentials,
) -> Observation:
    """Raises NotFound when the cell is gone."""
    cell = await store.get(Cell, name)
    try:
        cell_class: CellClassSpec | None = (await store.get(CellClass, cell.spec.class_ref)).spec
    except NotFound:
        cell_class = None
    owner = await _owner(store, cell)
    # An owner that is being deleted and has no route any more waits for the end of its cell, not the other way round.
    leaves = (
        owner
        if owner and owner.metadata.deletion_timestamp and not holds(owner.status.conditions, "Routable")
        else None
    )
    placed = (await counts(store, BY_CELL)).get(name, 0) - (leaves is not None and leaves.status.cell == name)
    cell_id = cell.status.cell_id
    workload = await runtime.observe(cell_id) if cell_id else None
    idle, awaited = (activity.idle_seconds(cell_id), activity.awaited(cell_id)) if cell_id else (None, False)
    rotation = await credentials.rotation(cell_id) if cell_id else NO_ROTATION
    now = datetime.now(UTC)
    wanted = await _wanted(store, cell, settings)
    return Observation(
        cell,
        cell_class,
        placed,
        wanted.release,
        workload,
        owner,
        idle,
        awaited,
        runtime.topologies,
        runtime.seamless,
        rotation,
        not wanted.beside
        and cell.status.canary is None
        and rotating.due(cell, rotation, settings.credentials_days, now),
        rotation.postponed is not None and rotation.postponed > now,
        wanted.moving,
        wanted.beside,
        wanted.weight,
        now,
    )


async def _wanted(store: ResourceStore, cell: Cell, settings: OperatorSettings) -> Assignment:
    """The release that the cell should run: its pin, what a rollout says, or what it has."""
    if cell.spec.release is not None:
        return Assignment(cell.spec.release)
    if settings.cells_follow == "platform":
        return Assignment(settings.release)
    releases = await store.list(CellRelease)
    if (found := assigned(cell, releases)) is not None:
        return found
    latest = newest(releases)
    return Assignment(cell.status.release or (latest.spec.release if latest else settings.release))


async def _owner(store: ResourceStore, cell: Cell) -> Tenant | None:
    """The tenant that the cell was made for, while it is there; a new one of its name is somebody else."""
    for reference in cell.metadata.owner_references:
        if reference.kind == Tenant.kind_name:
            with contextlib.suppress(NotFound):
                tenant = await store.get(Tenant, reference.name)
                if tenant.metadata.uid == reference.uid:
                    return tenant
    return None
