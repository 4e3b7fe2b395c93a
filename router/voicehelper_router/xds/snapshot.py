"""All resources that an Envoy should have, as a pure function of tenants and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from voicehelper_router.xds import clusters, held, routes, scopes
from voicehelper_router.xds.facts import CellFacts, TenantFacts
from voicehelper_router.xds.resource import Rendered, Resource
from voicehelper_router.xds.scopes import Scope


class InconsistentSnapshot(ValueError):
    """Envoy would reject it, and innocent tenants with it."""


@dataclass(frozen=True)
class Change:
    """The scopes in ``names`` are all that differs from the scopes in ``since``."""

    since: Mapping[str, Scope]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """Resources by name, one mapping a type. ``scopes`` holds keep-alive scopes and tenants' scopes."""

    clusters: Mapping[str, Resource] = field(default_factory=dict)
    routes: Mapping[str, Resource] = field(default_factory=dict)
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)
    """Id of each cell, and the name of the route configuration that its tenants meet."""
    change: Change | None = None
    """Spares those who have the scopes before it a comparison of all."""

    def changed(
        self, tenants: Mapping[str, TenantFacts | None], cells: Mapping[str, CellFacts | None] | None = None
    ) -> Snapshot:
        """The snapshot after these changed (None: gone); nothing else is built again.

        A cell that comes, goes, sleeps or wakes changes what its tenants meet: they have to be among ``tenants``.
        """
        cells = cells or {}
        known = {**self.cells, **{cell_id: meets(cell) for cell_id, cell in cells.items() if cell}}
        new_clusters, new_routes = dict(self.clusters), dict(self.routes)
        new_scopes: dict[str, Scope | None] = {}
        for cell_id, cell in cells.items():
            for name in clusters.names(cell_id):
                new_clusters.pop(name, None)
            for name in (routes.cell_name(cell_id), held.name(cell_id)):
                new_routes.pop(name, None)
                new_scopes[scopes.hold(name).name] = None
            if cell is None:
                known.pop(cell_id, None)
                continue
            new_clusters |= {item.name: item for item in clusters.of_cell(cell)}
            for configuration in configurations(cell):
                new_routes[configuration.name] = configuration
                hold = scopes.hold(configuration.name)
                new_scopes[hold.name] = hold
        for name, tenant in tenants.items():
            scope = scopes.of_name(name, scopes.configuration_of(tenant, known) if tenant else "")
            new_scopes[scope.name] = scope if tenant else None
        all_scopes = dict(self.scopes)
        for name, changed_scope in new_scopes.items():
            if changed_scope:
                all_scopes[name] = changed_scope
            else:
                all_scopes.pop(name, None)
        return Snapshot(new_clusters, new_routes, all_scopes, known, Change(self.scopes, tuple(new_scopes)))


def configurations(cell: CellFacts) -> list[Rendered]:
    """A cell's own: where requests go, as long as it has an address, and where they wait, while they do.

    The first stays while the cell falls asleep, for what was on its way there.
    """
    found = [routes.of_cell(cell)] if cell.http else []
    return [*found, held.of_cell(cell)] if cell.meets == "held" else found


def meets(cell: CellFacts) -> str:
    """Name of the route configuration that a cell's tenants meet."""
    match cell.meets:
        case "cell":
            return routes.cell_name(cell.cell_id)
        case "held":
            return held.name(cell.cell_id)
        case "asleep":
            return routes.ASLEEP


def build(tenants: Iterable[TenantFacts], cells: Iterable[CellFacts]) -> Snapshot:
    """The snapshot. Raises InconsistentSnapshot."""
    cells = list(cells)
    known = {cell.cell_id: meets(cell) for cell in cells}
    all_routes = [*routes.common(), held.moving(), *(item for cell in cells for item in configurations(cell))]
    of_tenants = [scopes.of_name(tenant.name, scopes.configuration_of(tenant, known)) for tenant in tenants]
    all_scopes = [*(scopes.hold(item.name) for item in all_routes), scopes.public(), *of_tenants]
    snapshot = Snapshot(
        clusters={item.name: item for cell in cells for item in clusters.of_cell(cell)},
        routes={item.name: item for item in all_routes},
        scopes={item.name: item for item in all_scopes},
        cells=known,
    )
    check(snapshot, all_scopes)
    return snapshot


def check(snapshot: Snapshot, all_scopes: Iterable[Scope]) -> None:
    """One duplicate key makes Envoy reject the whole update; a missing target makes a 404."""
    keys: set[str] = set()
    for scope in all_scopes:
        if scope.key in keys:
            raise InconsistentSnapshot(f"two scopes have the key '{scope.key}'")
        keys.add(scope.key)
        if scope.configuration not in snapshot.routes:
            raise InconsistentSnapshot(f"scope '{scope.name}' names the unknown '{scope.configuration}'")
