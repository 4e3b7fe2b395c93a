"""The snapshot as a pure function."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_router.filters import paths
from voicehelper_router.xds import clusters, held, routes, scopes
from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.facts import CanaryFacts, CellFacts, TenantFacts
from voicehelper_router.xds.snapshot import InconsistentSnapshot, Snapshot, build

IDS = [letter * 12 for letter in "abcdef"]
endpoints = st.sampled_from(["127.0.0.1:1", "cell.example:8080", "[::1]:9"])
cells = st.lists(
    st.builds(
        CellFacts,
        cell_id=st.sampled_from(IDS),
        http=st.none() | endpoints,
        grpc=st.none() | endpoints,
        hibernation=st.sampled_from(["", "Idle", "Forced"]),
        canary=st.none()
        | st.builds(CanaryFacts, http=endpoints, grpc=st.none() | endpoints, weight=st.integers(0, 100)),
    ),
    unique_by=lambda cell: cell.cell_id,
)
tenant = st.builds(
    TenantFacts,
    name=st.from_regex(r"^[a-z]([-a-z0-9]{0,10}[a-z0-9])?$", fullmatch=True),
    state=st.sampled_from(["routable", "suspended", "unavailable"]),
    cell_id=st.none() | st.sampled_from(IDS),
)
tenants = st.lists(tenant, unique_by=lambda item: item.name)


def versions(snapshot: Snapshot) -> dict[str, str]:
    every = [*snapshot.clusters.values(), *snapshot.routes.values(), *snapshot.scopes.values()]
    return {f"{item.kind.__name__}/{item.name}": item.version for item in every}


@given(tenants, cells)
def test_keys_are_unique_and_every_scope_names_a_held_configuration(
    some_tenants: list[TenantFacts], some_cells: list[CellFacts]
) -> None:
    snapshot = build(some_tenants, some_cells)
    keys = [scope.key for scope in snapshot.scopes.values()]
    assert len(keys) == len(set(keys))
    held = {scope.configuration for scope in snapshot.scopes.values() if scopes.is_hold(scope.name)}
    assert held == set(snapshot.routes)
    assert {scope.configuration for scope in snapshot.scopes.values()} <= held
    assert {s.key for s in snapshot.scopes.values() if not scopes.is_hold(s.name)} == {
        "_public", *(item.name for item in some_tenants)
    }  # fmt: skip


@given(tenants, cells, tenant)
def test_one_changed_tenant_is_one_changed_scope(
    some_tenants: list[TenantFacts], some_cells: list[CellFacts], changed: TenantFacts
) -> None:
    others = [item for item in some_tenants if item.name != changed.name]
    before = build(others, some_cells)
    after = before.changed({changed.name: changed})
    assert versions(after) == versions(build([*others, changed], some_cells))
    differing = {name for name, version in versions(after).items() if versions(before).get(name) != version}
    assert differing == {f"ScopedRouteConfiguration/tenant:{changed.name}"}
    assert versions(after.changed({changed.name: None})) == versions(before)


changes = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.none() | tenant)
    | st.tuples(
        st.sampled_from(IDS),
        st.none()
        | st.builds(
            CellFacts,
            cell_id=st.just(""),
            http=st.none() | endpoints,
            hibernation=st.sampled_from(["", "Idle", "Forced"]),
            canary=st.none() | st.builds(CanaryFacts, http=endpoints, weight=st.integers(0, 100)),
        ),
    ),
    max_size=20,
)


@given(tenants, cells, changes, st.sets(st.integers(0, 19)))
def test_changes_lead_to_what_is_built_from_scratch(
    some_tenants: list[TenantFacts],
    some_cells: list[CellFacts],
    some_changes: list[tuple[str, TenantFacts | CellFacts | None]],
    looked_at: set[int],
) -> None:
    """Whether somebody looks at the snapshot after each change, or they gather."""
    cache = Cache()
    cache.load(some_tenants, some_cells)
    for number, (key, changed) in enumerate(some_changes):
        if len(key) == 1:
            facts = changed if isinstance(changed, TenantFacts) else None
            cache.set_tenant(key, replace(facts, name=key) if facts else None)
        else:
            cache.set_cell(key, changed.model_copy(update={"cell_id": key}) if isinstance(changed, CellFacts) else None)
        if number in looked_at:
            before = cache.snapshot
            assert before is cache.snapshot
    wanted = build(cache.tenants.values(), cache.cells.values())
    assert cache.snapshot is not None
    assert versions(cache.snapshot) == versions(wanted)
    assert cache.snapshot.cells == wanted.cells


@given(tenants, cells)
def test_every_resource_is_a_message_of_its_kind(some_tenants: list[TenantFacts], some_cells: list[CellFacts]) -> None:
    snapshot = build(some_tenants, some_cells)
    for item in (*snapshot.clusters.values(), *snapshot.routes.values(), *snapshot.scopes.values()):
        message = item.kind()
        assert item.message.Unpack(message)
        assert message.name == item.name


def test_same_content_has_the_same_version() -> None:
    facts = CellFacts(cell_id=IDS[0], http="127.0.0.1:1")
    assert versions(build([], [facts])) == versions(build([], [CellFacts.model_validate_json(facts.model_dump_json())]))


def test_what_a_tenant_meets() -> None:
    cell = CellFacts(cell_id=IDS[0], http="127.0.0.1:1")
    snapshot = build(
        [
            TenantFacts(name="here", state="routable", cell_id=IDS[0]),
            TenantFacts(name="elsewhere", state="routable", cell_id=IDS[1]),
            TenantFacts(name="asleep", state="suspended", cell_id=IDS[0]),
            TenantFacts(name="coming", state="unavailable"),
        ],
        [cell],
    )
    met = {scope.key: scope.configuration for scope in snapshot.scopes.values()}
    assert met["here"] == routes.cell_name(IDS[0])
    assert met["elsewhere"] == routes.UNAVAILABLE
    assert met["asleep"] == routes.SUSPENDED
    assert met["coming"] == routes.UNAVAILABLE


def test_what_tenants_of_a_cell_that_sleeps_meet() -> None:
    """Idle and between waking and running: the same. Put to sleep by hand: refused, whatever the tenant's state."""
    tenants_of_one = [
        TenantFacts(name="acme", state="routable", cell_id=IDS[0]),
        TenantFacts(name="coming", state="unavailable", cell_id=IDS[0]),
        TenantFacts(name="suspended", state="suspended", cell_id=IDS[0]),
    ]

    def met(**facts: str) -> list[str]:
        snapshot = build(tenants_of_one, [CellFacts.model_validate({"cell_id": IDS[0], **facts})])
        return [snapshot.scopes[f"tenant:{item.name}"].configuration for item in tenants_of_one]

    waiting = [held.name(IDS[0]), routes.UNAVAILABLE, routes.SUSPENDED]
    assert met() == met(hibernation="Idle") == met(hibernation="Idle", http="127.0.0.1:1") == waiting
    assert met(hibernation="Forced") == [routes.ASLEEP, routes.ASLEEP, routes.SUSPENDED]
    assert met(http="127.0.0.1:1")[0] == routes.cell_name(IDS[0])


def test_where_requests_wait_is_the_cell_but_for_the_wait() -> None:
    """Identity is not held, the probe is answered, everything else has the cell's own routes."""
    cell = CellFacts(cell_id=IDS[0], http="127.0.0.1:1", grpc="127.0.0.1:2")
    of_cell, waiting = (
        item.content["virtual_hosts"][0]["routes"] for item in (routes.of_cell(cell), held.of_cell(cell))
    )
    wait = "typed_per_filter_config"
    assert [route["match"] for route in waiting] == [route["match"] for route in of_cell]
    for route, same in zip(waiting, of_cell, strict=True):
        if route["match"] == {"path": paths.PROBE}:
            assert route["direct_response"]["status"] == 503
            assert wait not in route
        elif wait in route:
            assert {name: value for name, value in route.items() if name != wait} == same
            assert same["stat_prefix"] == IDS[0]
        else:
            assert route == same
            assert route.get("route", {}).get("cluster") in (clusters.IDENTITY, None)
    assert not [route for route in of_cell if wait in route]


def test_a_cell_that_falls_asleep_keeps_its_clusters_while_it_has_an_address() -> None:
    cell = CellFacts(cell_id=IDS[0], http="127.0.0.1:1")
    awake = build([], [cell])
    falling = awake.changed({}, {IDS[0]: cell.model_copy(update={"hibernation": "Idle"})})
    assert falling.clusters == awake.clusters
    assert set(falling.routes) == {*awake.routes, held.name(IDS[0])}
    asleep = falling.changed({}, {IDS[0]: CellFacts(cell_id=IDS[0], hibernation="Idle")})
    assert not asleep.clusters
    assert routes.cell_name(IDS[0]) not in asleep.routes
    assert versions(asleep.changed({}, {IDS[0]: cell})) == versions(awake)


def test_two_tenants_of_one_name_are_refused() -> None:
    facts = TenantFacts(name="acme", state="suspended")
    with pytest.raises(InconsistentSnapshot, match="acme"):
        build([facts, facts], [])


def test_a_tenant_cannot_take_a_keep_alive_scope() -> None:
    with pytest.raises(InconsistentSnapshot):
        build([TenantFacts(name="___public", state="suspended")], [])


def test_clusters_of_a_cell() -> None:
    both = clusters.of_cell(CellFacts(cell_id=IDS[0], http="127.0.0.1:1", grpc="cell.example:2"))
    assert [item.name for item in both] == [f"{IDS[0]}-http", f"{IDS[0]}-grpc"]
    assert [item.content["type"] for item in both] == ["STATIC", "STRICT_DNS"]
    assert [item.name for item in clusters.of_cell(CellFacts(cell_id=IDS[0], http="[::1]:1"))] == [f"{IDS[0]}-http"]
