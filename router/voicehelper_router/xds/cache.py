"""The current facts and the snapshot made of them; streams wait here for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import Gauge
from voicehelper_core.log import get_logger

from voicehelper_router.xds.facts import CellFacts, TenantFacts
from voicehelper_router.xds.snapshot import InconsistentSnapshot, Snapshot, build, meets

log = get_logger(__name__)
TENANTS = Gauge("router_tenants", "Tenants that the router knows")
CELLS = Gauge("router_cells", "Cells that the router knows")
STALE = Gauge("router_snapshot_stale", "1 while routes come from disk or from before Postgres was lost")


class Cache:
    """Holds no snapshot until somebody loads one: nobody is told that a tenant does not exist before that."""

    def __init__(self) -> None:
        self.tenants: dict[str, TenantFacts] = {}
        self.cells: dict[str, CellFacts] = {}
        self.synced = False
        self.stale_since: datetime | None = None
        self.stale_reason = ""
        self._snapshot: Snapshot | None = None
        self._tenants_changed: set[str] = set()
        self._cells_changed: set[str] = set()
        self._changed: list[asyncio.Event] = []

    @property
    def snapshot(self) -> Snapshot | None:
        """Made when it is asked for, of all changes since then: a burst of them costs hardly more than one."""
        if self._snapshot is not None and (self._tenants_changed or self._cells_changed):
            self._refresh(self._snapshot)
        return self._snapshot

    def load(self, tenants: Iterable[TenantFacts], cells: Iterable[CellFacts]) -> None:
        """Replace everything."""
        self.tenants = {tenant.name: tenant for tenant in tenants}
        self.cells = {cell.cell_id: cell for cell in cells}
        self._tenants_changed.clear()
        self._cells_changed.clear()
        try:
            self._publish(build(self.tenants.values(), self.cells.values()))
        except (InconsistentSnapshot, ValueError) as error:
            log.error("snapshot refused, the last one stays", reason=str(error))

    def set_tenant(self, name: str, tenant: TenantFacts | None) -> None:
        """One tenant changed, or is gone."""
        if self.tenants.get(name) == tenant:
            return
        if tenant is None:
            del self.tenants[name]
        else:
            self.tenants[name] = tenant
        self._tenants_changed.add(name)
        self._tell()

    def set_cell(self, cell_id: str, cell: CellFacts | None) -> None:
        """One cell changed, or is gone."""
        if self.cells.get(cell_id) == cell:
            return
        if cell is None:
            del self.cells[cell_id]
        else:
            self.cells[cell_id] = cell
        self._cells_changed.add(cell_id)
        self._tell()

    def _refresh(self, last: Snapshot) -> None:
        cells = {cell_id: self.cells.get(cell_id) for cell_id in self._cells_changed}
        moved = {
            cell_id for cell_id, cell in cells.items() if last.cells.get(cell_id) != (meets(cell) if cell else None)
        }
        names = set(self._tenants_changed)
        if moved:
            names |= {tenant.name for tenant in self.tenants.values() if tenant.cell_id in moved}
        self._tenants_changed.clear()
        self._cells_changed.clear()
        try:
            self._snapshot = last.changed({name: self.tenants.get(name) for name in names}, cells)
        except ValueError as error:
            log.error("change refused, the last snapshot stays", reason=str(error))

    def _publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._tell()

    def _tell(self) -> None:
        TENANTS.set(len(self.tenants))
        CELLS.set(len(self.cells))
        for event in self._changed:
            event.set()

    def mark(self, reason: str | None) -> None:
        """Say since when and why the facts may be old; None when they are current."""
        if reason and self.stale_since is None:
            self.stale_since = datetime.now(UTC)
            log.warning("routes may be old", reason=reason)
        elif reason is None and self.stale_since is not None:
            log.info("routes are current again", stale_since=self.stale_since.isoformat(timespec="seconds"))
            self.stale_since = None
        self.stale_reason = reason or ""
        STALE.set(1 if reason else 0)

    def listen(self) -> asyncio.Event:
        """An event that is set at every change; give it back with ``forget``."""
        event = asyncio.Event()
        self._changed.append(event)
        return event

    def forget(self, event: asyncio.Event) -> None:
        """Stop listening."""
        self._changed.remove(event)
