"""From changes of the world to keys that have to be looked at."""

from __future__ import annotations

from collections.abc import Iterable

from voicehelper_core.ports import Change
from voicehelper_core.resource_rules import is_paused
from voicehelper_crds import Cell, CellRelease, Tenant, holds
from voicehelper_crds.models import CellReleaseStatus

from voicehelper_operator.cells.rotation import ANNOTATION
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.releases.assignment import concerned
from voicehelper_operator.workloads.interface import workload_name

RECOUNT_SECONDS = 0.5
"""How old the number of tenants in a cell's status may be."""
ROLLOUT_SECONDS = 0.25
"""How late a rollout may see what became of a cell or a tenant."""


class Router:
    """Which keys a change concerns: the object itself, and those whose plan depends on it."""

    def __init__(self, cells: WorkQueue, tenants: WorkQueue, releases: WorkQueue, moves: WorkQueue) -> None:
        self._cells, self._tenants, self._releases, self._moves = cells, tenants, releases, moves
        self._rollouts: dict[str, CellReleaseStatus] = {}
        self._well: dict[str, bool] = {}  # tenants that are ready
        self._homes: dict[str, str | None] = {}
        self._living: dict[str | None, dict[str, None]] = {}  # the same by home; an ordered set each
        self._ending: set[str] = set()
        self._known_cells: set[str] = set()
        self._cell_of: dict[str, str] = {}  # workload -> cell
        self._asked: dict[tuple[str, str], tuple[object, ...]] = {}
        self._offered: dict[str, tuple[object, ...]] = {}  # what the tenants of a cell depend on

    def route(self, change: Change) -> None:
        """Queue what has to be looked at."""
        match change.kind:
            case "Tenant":
                self._tenant(change)
            case "Cell":
                self._cell(change)
            case "TenantPlan":
                self.all_tenants()
            case "CellClass":
                self.all_cells()
            case "CellReleaseStrategy":
                self._go_on()
            case "CellRelease":
                self._release(change)
            case "TenantMove":
                self._move(change)

    def _release(self, change: Change) -> None:
        """Its cells are told what they should run; others may have waited for its end."""
        release = change.resource if isinstance(change.resource, CellRelease) and change.type != "deleted" else None
        before, now = self._rollouts.pop(change.name, None), release.status if release is not None else None
        for cell in concerned(before, now):
            self._cells.add(cell)
        over = now is None or now.finished_at is not None
        if now is not None:
            self._rollouts[change.name] = now
        if now is None:
            self._asked.pop((change.kind, change.name), None)
        elif self._asks_anew(change):
            self._releases.add(change.name)
        if over and not (before is not None and before.finished_at is not None):
            self._go_on()

    def _move(self, change: Change) -> None:
        """Moves that go on look at themselves."""
        if change.type == "deleted":
            self._asked.pop((change.kind, change.name), None)
        elif self._asks_anew(change):
            self._moves.add(change.name)

    def _go_on(self, after: float = 0.0) -> None:
        """Look at the rollouts that are not over."""
        for name, status in self._rollouts.items():
            if status.finished_at is None:
                self._releases.add_after(name, after)

    def _tenant(self, change: Change) -> None:
        tenant = change.resource if isinstance(change.resource, Tenant) else None
        home = tenant.status.cell if tenant and change.type == "applied" else None
        before = self._homes.get(change.name)
        if change.type == "deleted":
            self._moved(change.name, None)
            self._asked.pop((change.kind, change.name), None)
            self._well.pop(change.name, None)
        else:
            self._moved(change.name, (home,))
            well = tenant is not None and holds(tenant.status.conditions, "Ready")
            if self._well.get(change.name) is not well:
                self._well[change.name] = well
                self._go_on(ROLLOUT_SECONDS)
            if self._asks_anew(change):
                self._tenants.add(change.name)
                if change.name in self._known_cells:  # a cell of its own sleeps while its tenant is suspended
                    self._cells.add(change.name)
        for cell in {before, home} - {None} if before != home else ():
            self._recount(str(cell))

    def _moved(self, tenant: str, home: tuple[str | None] | None) -> None:
        """Note where it lives now: in a cell, in none yet, or nowhere since it is gone."""
        if tenant in self._homes:
            before = self._homes.pop(tenant)
            self._living[before].pop(tenant)
            if not self._living[before]:
                del self._living[before]
        if home is not None:
            self._homes[tenant] = home[0]
            self._living.setdefault(home[0], {})[tenant] = None

    def _recount(self, cell: str) -> None:
        """A hundred tenants that come at once are counted a few times, not a hundred; nobody waits for the number.

        The end of a cell does: it begins when the last one is out.
        """
        if cell in self._ending:
            self._cells.add(cell)
        else:
            self._cells.add_after(cell, RECOUNT_SECONDS)

    def _cell(self, change: Change) -> None:
        cell = change.resource if isinstance(change.resource, Cell) and change.type != "deleted" else None
        self._ending.discard(change.name)
        if cell is None:
            self._known_cells.discard(change.name)
            self._cell_of = {work: name for work, name in self._cell_of.items() if name != change.name}
            self._asked.pop((change.kind, change.name), None)
        else:
            self._known_cells.add(change.name)
            if cell.metadata.deletion_timestamp:
                self._ending.add(change.name)
            if cell.status.cell_id:
                self._cell_of[workload_name(cell.status.cell_id)] = change.name
            if self._asks_anew(change):
                self._cells.add(change.name)
        changed = self._offers_else(change.name, cell)
        if changed:
            self._go_on(ROLLOUT_SECONDS)
        for home in (None, change.name) if changed else (None,):
            for name in self._living.get(home, ()):
                self._tenants.add(name)

    def _offers_else(self, name: str, cell: Cell | None) -> bool:
        """Whether those who live there are concerned: not by how many they are, or each would wake all others."""
        before = self._offered.pop(name, None)
        if cell is None:
            return True
        told = cell.status.model_dump(exclude={"tenants", "credentials"})
        meta = cell.metadata
        self._offered[name] = now = (meta.uid, meta.deletion_timestamp, cell.spec, told, is_paused(cell))
        return before != now

    def _asks_anew(self, change: Change) -> bool:
        """Whether something else than the status (which is written here) and mere marks changed."""
        assert change.resource is not None
        meta = change.resource.metadata
        rotation, paused = meta.annotations.get(ANNOTATION), is_paused(change.resource)
        asked = (meta.uid, meta.generation, meta.deletion_timestamp, tuple(meta.finalizers), paused, rotation)
        key = (change.kind, change.name)
        before, self._asked[key] = self._asked.get(key), asked
        return before != asked

    def repaired(self, cell: str) -> None:
        """A slice of the cell was made again: what its tenants have there may be gone too."""
        for name in self._living.get(cell, ()):
            self._tenants.add(name)

    def workload_changed(self, workload: str) -> None:
        """Its cell has to be looked at; a workload of no cell that is known is nobody's."""
        if cell := self._cell_of.get(workload):
            self._cells.add(cell)

    def cell_awaited(self, cell_id: str) -> None:
        """Requests wait for it."""
        self.workload_changed(workload_name(cell_id))

    def some_tenants(self, names: Iterable[str]) -> None:
        """Look at those that are there still."""
        for name in self._homes.keys() & set(names):
            self._tenants.add(name)

    def all_tenants(self) -> None:
        """Look at every tenant."""
        for name in self._homes:
            self._tenants.add(name)

    def all_cells(self) -> None:
        """Look at every cell."""
        for name in self._known_cells:
            self._cells.add(name)
