"""Moves with the reconcilers of cells and tenants, over memory; the operator dies at every effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from voicehelper_core import errors
from voicehelper_crds import Cell, Tenant, TenantMove, holds

from voicehelper_operator.moves import switch
from voicehelper_operator.tests.world import Crash, World

API = {"apiVersion": "voicehelper.io/v1alpha1"}


def move(name: str = "m", tenant: str = "acme", *, target: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    told = {"tenant": tenant, "target": {"cell": "two"} if target is None else target, "graceSeconds": 0, **spec}
    return {**API, "kind": "TenantMove", "metadata": {"name": name}, "spec": told}


def cell(name: str, **spec: Any) -> dict[str, Any]:
    return {**API, "kind": "Cell", "metadata": {"name": name}, "spec": spec}


def tenant(name: str, home: str | None = None, **spec: Any) -> dict[str, Any]:
    placement = {"placement": {"cell": home}} if home else {}
    told = {"planRef": "team", "admin": {"email": f"admin@{name}.example"}, **placement, **spec}
    return {**API, "kind": "Tenant", "metadata": {"name": name}, "spec": told}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "_SETTLE_SECONDS", 0)


async def world_of() -> World:
    world = World()
    await world.store.apply({**API, "kind": "CellClass", "metadata": {"name": "standard"}, "spec": {}})
    await world.store.apply(
        {**API, "kind": "TenantPlan", "metadata": {"name": "team"}, "spec": {"isolation": "shared"}}
    )
    for name in ("one", "two"):
        await world.store.apply(cell(name))
    await world.store.apply(tenant("acme", "one"))
    await world.store.apply(tenant("globex", "one"))
    await world.settle()
    found = await world.store.get(Tenant, "acme")
    for row in ("a", "b"):
        world.copier.write(found.status.cell_id, found.status.tenant_id, row)
    return world


async def look(world: World, name: str = "m") -> TenantMove:
    found: TenantMove = await world.store.get(TenantMove, name)
    return found


async def go_on(world: World, name: str = "m", passes: int = 60) -> TenantMove:
    """Passes until the move is over; the slices' removals reach the rows."""
    for _ in range(passes):
        await world.pass_once()
        world.copier.removed()
        world.now += timedelta(seconds=1)
        found = await look(world, name)
        if found.status.finished_at is not None:
            await world.settle()
            return found
    raise AssertionError((await look(world, name)).status)


async def home(world: World, name: str = "acme") -> str:
    """Where the tenant lives, by everything that knows it: status, list of tenants, rows; nowhere else, and well."""
    found = await world.store.get(Tenant, name)
    status = found.status
    assert status.held_by is None
    assert holds(status.conditions, "Ready"), status.conditions
    for store in world.slices:
        assert [key[0] for key in store.data if key[1] == status.tenant_id] == [status.cell_id], store.store
        assert [key[0] for key in store.tenants if key[1] == status.tenant_id] == [status.cell_id]
    assert (status.cell_id, status.tenant_id) not in world.copier.closed
    assert isinstance(status.cell, str)
    return status.cell


async def rows(world: World, name: str = "acme") -> set[str]:
    status = (await world.store.get(Tenant, name)).status
    return world.copier.rows[status.cell_id, status.tenant_id]


async def test_a_tenant_moves_and_takes_everything_along():
    world = await world_of()
    await world.store.apply(move())
    done = await go_on(world)
    assert (done.status.phase, done.status.made_cell) == ("Complete", False)
    assert done.status.source is not None
    assert done.status.source.cell == "one"
    assert done.status.verification is not None
    assert done.status.verification.rows == 2
    assert done.status.pause_seconds is not None
    assert await home(world) == "two"
    assert await home(world, "globex") == "one"
    assert await rows(world) == {"a", "b"}
    reasons = [reason for kind, _, reason, _ in world.events.recorded if kind == "TenantMove"]
    assert reasons == ["Moving", "Switched", "Moved"]


async def test_there_and_back():
    world = await world_of()
    await world.store.apply(move())
    await go_on(world)
    await world.store.apply(move("back", target={"cell": "one"}))
    await go_on(world, "back")
    assert await home(world) == "one"
    assert await rows(world) == {"a", "b"}


@pytest.mark.parametrize("policy", ["Retain", "Archive", "Delete"])
async def test_into_a_cell_of_its_own_and_out_of_it(policy: str):
    world = await world_of()
    await world.store.apply(tenant("acme", "one", deletion={"policy": policy}))
    await world.store.apply(move(target={"isolation": "dedicated"}))
    done = await go_on(world)
    assert done.status.made_cell
    assert await home(world) == "acme"
    await world.store.apply(move("again", target={"isolation": "dedicated"}))
    await go_on(world, "again")
    assert await home(world) == "again", "the name of the first one was taken"
    await world.store.apply(move("out", target={"isolation": "shared"}))
    await go_on(world, "out")
    assert await home(world) in ("one", "two")
    assert {item.metadata.name for item in await world.store.list(Cell)} == {"one", "two"}
    assert await rows(world) == {"a", "b"}


async def test_without_a_target_the_placement_decides_and_never_takes_the_present_cell():
    world = await world_of()
    await world.store.apply(move(target={}))
    assert (await go_on(world)).status.phase == "Complete"
    assert await home(world) == "two"


async def test_the_source_keeps_the_data_read_only_for_its_time():
    world = await world_of()
    await world.store.apply(move(graceSeconds=1000))
    for _ in range(20):
        await world.pass_once()
        world.now += timedelta(seconds=1)
    found, status = await look(world), (await world.store.get(Tenant, "acme")).status
    assert found.status.phase == "Grace"
    assert found.status.source is not None
    with pytest.raises(errors.Unavailable):
        world.copier.write(found.status.source.cell_id, status.tenant_id, "late")
    world.copier.write(status.cell_id, status.tenant_id, "new")
    assert world.copier.rows[found.status.source.cell_id, status.tenant_id] == {"a", "b"}
    world.now += timedelta(seconds=1000)
    await go_on(world)
    assert await home(world) == "two"
    assert await rows(world) == {"a", "b", "new"}


async def test_another_move_ends_the_grace():
    world = await world_of()
    await world.store.apply(move(graceSeconds=100_000))
    for _ in range(20):
        await world.pass_once()
    await world.store.apply(move("back", target={"cell": "one"}))
    done = await go_on(world, "back")
    assert done.status.phase == "Complete"
    assert (await look(world)).status.phase == "Complete"
    assert await home(world) == "one"


async def test_answers_that_had_begun_come_along():
    world = await world_of()
    status = (await world.store.get(Tenant, "acme")).status
    world.copier.answering[status.cell_id, status.tenant_id] = 3
    await world.store.apply(move())
    await go_on(world)
    assert await rows(world) == {"a", "b", "answer 1", "answer 2", "answer 3"}


@pytest.mark.parametrize("trouble", ["spoiled", "slow_fence"])
async def test_what_cannot_be_verified_or_fenced_is_never_switched(trouble: str):
    world = await world_of()
    setattr(world.copier, trouble, True)
    await world.store.apply(move())
    for _ in range(20):
        await world.pass_once()
    assert (await world.store.get(Tenant, "acme")).status.cell == "one"
    assert (await look(world)).status.message
    status = (await world.store.get(Tenant, "acme")).status
    world.copier.write(status.cell_id, status.tenant_id, "goes on")
    setattr(world.copier, trouble, False)
    await go_on(world)
    assert await home(world) == "two"
    assert await rows(world) == {"a", "b", "goes on"}


async def test_routers_that_do_not_answer_are_not_waited_for_longer_than_the_pause():
    world = await world_of()
    world.activity.routers_away = True
    await world.store.apply(move(maxPauseSeconds=1))
    for _ in range(8):
        await world.pass_once()
    found = await look(world)
    assert "longer than 1 s" in found.status.message
    assert (await world.store.get(Tenant, "acme")).status.held_by is None
    world.activity.routers_away = False
    await go_on(world)
    assert await home(world) == "two"


@pytest.mark.parametrize("passes", range(1, 6))
@pytest.mark.parametrize("how", ["abort", "delete"])
async def test_abort_before_the_switch_leaves_no_trace(passes: int, how: str):
    world = await world_of()
    world.copier.spoiled = True
    await world.store.apply(move(target={"isolation": "dedicated"}))
    for _ in range(passes):
        await world.pass_once()
    if how == "abort":
        await world.store.apply(move(target={"isolation": "dedicated"}, state="Abort"))
        assert (await go_on(world)).status.phase == "Aborted"
    else:
        await world.store.delete(TenantMove, "m")
        for _ in range(20):
            await world.pass_once()
            world.copier.removed()
        with pytest.raises(errors.NotFound):
            await look(world)
    assert await home(world) == "one"
    assert {item.metadata.name for item in await world.store.list(Cell)} == {"one", "two"}
    assert await rows(world) == {"a", "b"}


async def test_a_tenant_that_is_deleted_meanwhile_is_gone_everywhere():
    world = await world_of()
    await world.store.apply(tenant("acme", "one", deletion={"policy": "Delete"}))
    for passes, grace in ((5, 0), (20, 1000)):
        await world.store.apply(tenant("acme", "one", deletion={"policy": "Delete"}))
        await world.settle()
        await world.store.apply(move(graceSeconds=grace))
        for _ in range(passes):
            await world.pass_once()
        await world.store.delete(Tenant, "acme")
        await go_on(world)
        assert all(key[1] != "acme" for store in world.slices for key in store.data)
        await world.store.delete(TenantMove, "m")
        await world.settle()
        globex = (await world.store.get(Tenant, "globex")).status
        for store in world.slices:
            assert store.data == {(globex.cell_id, globex.tenant_id)}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (move(tenant="nobody"), "there is no Tenant 'nobody'"),
        (move(target={"cell": "one"}), "lives in cell 'one' already"),
        (move(target={"cell": "nowhere"}), "there is no shared cell 'nowhere'"),
        (move(target={"region": "mars"}), "no shared cell can take the tenant"),
    ],
)
async def test_what_cannot_be_done_is_said(document: dict[str, Any], told: str):
    world = await world_of()
    await world.store.apply(document)
    for _ in range(4):
        await world.pass_once()
    found = await look(world)
    assert told in found.status.message
    assert not holds(found.status.conditions, "Accepted")
    assert await home(world) == "one"


async def test_moves_of_one_tenant_wait_for_each_other():
    world = await world_of()
    await world.store.apply(cell("three"))
    await world.settle()
    await world.store.apply(move("a"))
    await world.store.apply(move("b", target={"cell": "three"}))
    await world.pass_once()
    await world.pass_once()
    assert (await look(world, "b")).status.phase == "Queued"
    await go_on(world, "a")
    await go_on(world, "b")
    assert await home(world) == "three"


async def disturbed(document: dict[str, Any], last: int) -> tuple[World, int, int]:
    """A move whose operator dies at its effect ``last``, while the tenant writes: the world, effects, rows written."""
    world, seen, written = await world_of(), 0, 0
    await world.store.apply(document)

    def die(name: str) -> None:
        nonlocal seen
        seen += 1
        if seen - 1 == last:
            raise Crash(name)

    for number in range(60):
        world.hook = die
        try:
            await world.moves.reconcile("m")
        except Crash:
            world.restart()
        world.hook = lambda _: None
        await world.pass_once(but="TenantMove")
        world.copier.removed()
        world.now += timedelta(seconds=1)
        status = (await world.store.get(Tenant, "acme")).status
        try:
            world.copier.write(status.cell_id, status.tenant_id, f"row {number}")
            written += 1
        except errors.Unavailable:
            assert status.held_by == "m", "only who waits may be refused"
        if (await look(world)).status.finished_at is not None:
            await world.settle()
            return world, seen, written
    raise AssertionError((await look(world)).status)


@pytest.mark.parametrize(
    ("target", "each"), [({"cell": "two"}, 1), ({"isolation": "dedicated"}, 4)], ids=["shared", "dedicated"]
)
async def test_dying_at_any_effect_loses_and_doubles_nothing(target: dict[str, Any], each: int):
    _, total, _ = await disturbed(move(target=target), -1)
    assert total > 20
    for last in range(0, total, each):
        world, _, written = await disturbed(move(target=target), last)
        assert await home(world) in ("two", "acme")
        found = await rows(world)
        assert {"a", "b"} <= found
        assert len(found) == 2 + written, last
