"""All resources that an Envoy should have, as a pure function of tenants and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from voicehelper_router.xds import clusters, routes, scopes
from voicehelper_router.xds.facts import CellFacts, TenantFacts
from voicehelper_router.xds.resource import Resource


class InconsistentSnapshot(ValueError):
    """Envoy would reject it, and innocent tenants with it."""


@dataclass(frozen=True)
class Change:
    """The scopes in ``names`` are all that differs from the scopes in ``since``."""

    since: Mapping[str, Resource]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """Resources by name, one mapping a type. ``scopes`` holds keep-alive scopes and tenants' scopes."""

    clusters: Mapping[str, Resource] = field(default_factory=dict)
    routes: Mapping[str, Resource] = field(default_factory=dict)
    scopes: Mapping[str, Resource] = field(default_factory=dict)
    cells: frozenset[str] = frozenset()
    change: Change | None = None
    """Spares those who have the scopes before it a comparison of all."""

    def with_tenant(self, name: str, tenant: TenantFacts | None) -> Snapshot:
        """The snapshot after one tenant changed (None: it is gone); nothing else is built again."""
        scope = scopes.of_name(name, scopes.configuration_of(tenant, self.cells) if tenant else "")
        changed = dict(self.scopes)
        if tenant:
            changed[scope.name] = scope
        else:
            changed.pop(scope.name, None)
        return replace(self, scopes=changed, change=Change(self.scopes, (scope.name,)))


def build(tenants: Iterable[TenantFacts], cells: Iterable[CellFacts]) -> Snapshot:
    """The snapshot. Raises InconsistentSnapshot."""
    cells = list(cells)
    known = {cell.cell_id for cell in cells}
    configurations = [*routes.common(), *(routes.of_cell(cell) for cell in cells)]
    of_tenants = [scopes.of_name(tenant.name, scopes.configuration_of(tenant, known)) for tenant in tenants]
    all_scopes = [*(scopes.hold(item.name) for item in configurations), scopes.public(), *of_tenants]
    snapshot = Snapshot(
        clusters={item.name: item for cell in cells for item in clusters.of_cell(cell)},
        routes={item.name: item for item in configurations},
        scopes={item.name: item for item in all_scopes},
        cells=frozenset(known),
    )
    check(snapshot, all_scopes)
    return snapshot


def check(snapshot: Snapshot, all_scopes: Iterable[Resource]) -> None:
    """One duplicate key makes Envoy reject the whole update; a missing target makes a 404."""
    keys: set[str] = set()
    for scope in all_scopes:
        if scopes.key(scope) in keys:
            raise InconsistentSnapshot(f"two scopes have the key '{scopes.key(scope)}'")
        keys.add(scopes.key(scope))
        if scopes.target(scope) not in snapshot.routes:
            raise InconsistentSnapshot(f"scope '{scope.name}' names the unknown '{scopes.target(scope)}'")
