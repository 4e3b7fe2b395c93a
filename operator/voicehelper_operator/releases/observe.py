"""What is: the release, the others, and of every cell what a rollout has to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from voicehelper_core.errors import NotFound
from voicehelper_core.ports import ResourceStore
from voicehelper_core.resource_rules import is_paused
from voicehelper_crds import Cell, CellRelease, CellReleaseStrategy, Condition, Tenant, holds
from voicehelper_crds.cells import MaintenanceWindow
from voicehelper_crds.releases import CellReleaseSpec, CellSelector, Strategy

from voicehelper_operator.releases.traffic import Reading
from voicehelper_operator.tenants.status import CANARY_ANSWERS


@dataclass(frozen=True, slots=True)
class Canary:
    """The release that is tried beside the one that serves."""

    release: str
    ready: bool = False
    restarts: int = 0
    unproved: str = ""
    """A tenant whose probe has not reached it yet."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one cell that has an id and runs a release."""

    name: str
    id: str
    release: str
    """That its schemas were brought to, and its workload was told last."""
    labels: Mapping[str, str] = field(default_factory=dict)
    topology: str = "compact"
    tenants: int = 0
    created: datetime | None = None
    up: bool = True
    """Whether what is newest runs and answers, or the cell sleeps until the next request."""
    trouble: str = ""
    """Why what is newest cannot start or be migrated to."""
    unready_since: datetime | None = None
    """Since when the cell is not ready."""
    unready: str = ""
    """Why."""
    restarts: int = 0
    """How often what runs has died."""
    tenants_unready: Sequence[tuple[datetime, str]] = ()
    """Since when a tenant of a ready cell is not ready, and which it is and why."""
    barred: str = ""
    """Why no rollout may take it."""
    canary: Canary | None = None
    """What is tried in it."""
    maintenance: MaintenanceWindow | None = None
    """When it may be disturbed; None: at any time."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the plan depends on."""

    release: CellRelease
    cells: Mapping[str, Facts]
    now: datetime
    queued_behind: str = ""
    """Name of the release that has to end first."""
    superseded: bool = False
    """Whether cells have a later release."""
    refusal: tuple[str, str] | None = None
    """A reason and a message."""
    named: Strategy | None = None
    """What ``strategyRef`` names."""
    traffic: Reading = field(default_factory=Reading)
    """How requests ended, of the cells that are in a stage."""
    memory: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Resident bytes by id of the cell and release; nothing of a cell whose runtime does not tell."""
    canaries: frozenset[str] = frozenset({"compact"})
    """Topologies of cells in which the release can be tried beside the one that serves."""

    @property
    def strategy(self) -> Strategy:
        """What holds for a release that begins now."""
        return self.named or self.release.spec.strategy or Strategy()


def selects(selector: CellSelector, labels: Mapping[str, str]) -> bool:
    """Whether a cell with the labels is meant."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items())


def facts(cell: Cell, owner: Tenant | None, tenants: int, watched: Sequence[Tenant]) -> Facts | None:
    """Of a cell, by its own status and those of its tenants; None while it has never run."""
    status, meta = cell.status, cell.metadata
    if status.cell_id is None or status.release is None or status.schema_revision is None:
        return None
    conditions = {item.type: item for item in status.conditions}
    asleep = status.hibernation == "Idle"
    ready = asleep or holds(status.conditions, "Ready")
    broken = conditions.get("Ready")
    return Facts(
        name=meta.name,
        id=status.cell_id,
        release=status.release,
        labels=meta.labels,
        topology=cell.spec.topology,
        tenants=tenants,
        created=meta.creation_timestamp,
        up=asleep or (ready and holds(status.conditions, "RolledOut")),
        trouble=_trouble(conditions),
        unready_since=None if ready or broken is None else broken.last_transition_time,
        unready="" if ready or broken is None else f"{broken.reason}: {broken.message}".rstrip(": "),
        restarts=sum(workload.restarts for workload in status.workloads),
        tenants_unready=() if asleep else tuple(told for tenant in watched if (told := _told(cell, tenant))),
        barred=_barred(cell, owner),
        canary=_canary(cell, watched),
        maintenance=cell.spec.maintenance,
    )


def _canary(cell: Cell, watched: Sequence[Tenant]) -> Canary | None:
    told = cell.status.canary
    if told is None:
        return None
    unproved = ""
    for tenant in watched:
        proof = next((item for item in tenant.status.conditions if item.type == CANARY_ANSWERS), None)
        proved = proof is not None and proof.status == "True" and proof.message == told.release
        if not proved and not _excused(tenant) and holds(tenant.status.conditions, "Ready"):
            unproved = tenant.metadata.name
    return Canary(told.release, told.ready, told.restarts, unproved)


def _excused(tenant: Tenant) -> bool:
    return tenant.spec.suspended or tenant.metadata.deletion_timestamp is not None or is_paused(tenant)


def _told(cell: Cell, tenant: Tenant) -> tuple[datetime, str] | None:
    """Only who was ready once: others wait for something else."""
    conditions = {item.type: item for item in tenant.status.conditions}
    ready, canary = conditions.get("Ready"), conditions.get(CANARY_ANSWERS)
    if ready is None or _excused(tenant) or not holds(tenant.status.conditions, "Routable"):
        return None
    if ready.status == "True":
        if cell.status.canary is None or canary is None or canary.status == "True":
            return None
        return canary.last_transition_time, f"tenant '{tenant.metadata.name}' is not served: {canary.message}"
    return ready.last_transition_time, f"tenant '{tenant.metadata.name}' is not ready: {ready.reason}: {ready.message}"


def _trouble(conditions: Mapping[str, Condition]) -> str:
    for kind, reason in (("Migrated", "MigrationFailed"), ("RolledOut", "Stuck")):
        found = conditions.get(kind)
        if found is not None and found.status == "False" and found.reason == reason:
            return f"{reason}: {found.message}"
    return ""


def _barred(cell: Cell, owner: Tenant | None) -> str:
    if cell.metadata.deletion_timestamp is not None:
        return "it is being deleted"
    if cell.spec.release is not None:
        return f"it is pinned to {cell.spec.release} (spec.release)"
    if is_paused(cell) or (owner is not None and is_paused(owner)):
        return "it is paused (annotation voicehelper.io/paused)"
    if owner is not None and owner.spec.upgrade_policy == "Manual":
        return f"tenant '{owner.metadata.name}' has upgradePolicy Manual"
    if cell.status.hibernation == "Forced":
        return "it sleeps by spec.hibernate or with its suspended tenant"
    return ""


async def observe(
    store: ResourceStore, name: str, now: datetime, *, refusal: tuple[str, str] | None, canaries: frozenset[str]
) -> Observation:
    """Raises NotFound when the release is gone."""
    release = await store.get(CellRelease, name)
    others = [item for item in await store.list(CellRelease) if item.metadata.uid != release.metadata.uid]
    tenants = await store.list(Tenant)
    living: dict[str, int] = {}
    cells = await store.list(Cell)
    tried = {cell.metadata.name for cell in cells if cell.status.canary is not None}
    watched: dict[str, list[Tenant]] = {}
    for tenant in tenants:
        if tenant.status.cell is not None:
            living[tenant.status.cell] = living.get(tenant.status.cell, 0) + 1
            if tenant.status.cell in tried or not holds(tenant.status.conditions, "Ready"):
                watched.setdefault(tenant.status.cell, []).append(tenant)
    owners = {tenant.metadata.uid: tenant for tenant in tenants}
    found = {}
    for cell in cells:
        owner = next((owners[item.uid] for item in cell.metadata.owner_references if item.uid in owners), None)
        known = facts(cell, owner, living.get(cell.metadata.name, 0), watched.get(cell.metadata.name, []))
        if known is not None:
            found[known.name] = known
    named, missing = await _named(store, release.spec)
    ahead, later = _ahead(release, others), _superseded(release, others)
    return Observation(release, found, now, ahead, later, refusal or missing, named, canaries=canaries)


async def _named(store: ResourceStore, spec: CellReleaseSpec) -> tuple[Strategy | None, tuple[str, str] | None]:
    """The strategy that a release names, or why it is refused."""
    if spec.strategy_ref is None:
        return None, None
    try:
        return (await store.get(CellReleaseStrategy, spec.strategy_ref)).spec, None
    except NotFound:
        told = f"there is no CellReleaseStrategy '{spec.strategy_ref}': apply it, or change spec.strategyRef"
        return None, ("StrategyNotFound", told)


def _ahead(release: CellRelease, others: Iterable[CellRelease]) -> str:
    """The one that has to end first: one that has begun, or one that was there before."""
    going = [item for item in others if item.status.finished_at is None and item.metadata.deletion_timestamp is None]
    begun = [item for item in going if item.status.started_at is not None]
    before = [item for item in going if _age(item) < _age(release) and item.status.phase != "Refused"]
    first = min([*begun, *before], key=_age, default=None)
    return first.metadata.name if first is not None else ""


def _superseded(release: CellRelease, others: Iterable[CellRelease]) -> bool:
    begun = release.status.started_at
    later = [item for item in others if begun and item.status.started_at and item.status.started_at > begun]
    entries = [entry for item in later for wave in item.status.waves for entry in wave.cells]
    return any(entry.phase in ("Upgrading", "Shifting", "Updated", "Failed") for entry in entries)


def _age(release: CellRelease) -> tuple[str, str]:
    meta = release.metadata
    return meta.creation_timestamp.isoformat() if meta.creation_timestamp else "", meta.name
