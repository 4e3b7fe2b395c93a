"""Releases with the reconcilers of cells and tenants, over memory; the operator dies at every effect."""

from __future__ import annotations

from datetime import timedelta

import pytest
from voicehelper_crds import Cell, CellRelease

from voicehelper_operator.releases.progress import entries
from voicehelper_operator.tests.world import Crash, World

API = {"apiVersion": "voicehelper.io/v1alpha1"}
FIRST, NEXT = "r00000000001", "r00000000002"
WAVES = [
    {"name": "one", "maxCells": 1, "bake": {"seconds": 8}},
    {"name": "all", "maxConcurrency": 2, "bake": {"seconds": 8}},
]
STEP = timedelta(seconds=3)


def document(name: str = "next", release: str = NEXT, **spec) -> dict:
    strategy = {"waves": WAVES, "failurePolicy": {"maxFailedCells": 2, "unhealthySeconds": 5}}
    return {**API, "kind": "CellRelease", "metadata": {"name": name}, "spec": {
        "release": release, "strategy": strategy, **spec,
    }}  # fmt: skip


async def world_of(cells: int = 4) -> World:
    world = World()
    world.follow = "rollouts"
    world.restart()
    await world.store.apply({**API, "kind": "CellClass", "metadata": {"name": "standard"}, "spec": {}})
    await world.store.apply(
        {**API, "kind": "TenantPlan", "metadata": {"name": "team"}, "spec": {"isolation": "shared"}}
    )
    for number in range(cells):
        await world.store.apply({**API, "kind": "Cell", "metadata": {"name": f"cell-{number}"}, "spec": {}})
        admin = {"email": f"admin@t{number}.example"}
        spec = {"planRef": "team", "admin": admin, "placement": {"cell": f"cell-{number}"}}
        await world.store.apply({**API, "kind": "Tenant", "metadata": {"name": f"t{number}"}, "spec": spec})
    await world.settle()
    return world


async def go_on(world: World, name: str = "next", passes: int = 200) -> CellRelease:
    """Passes, some seconds apart, until the release is over."""
    for _ in range(passes):
        await world.pass_once()
        release = await world.store.get(CellRelease, name)
        if release.status.finished_at is not None:
            await world.settle()
            return release
        world.now += STEP
    raise AssertionError(release.status)


async def running(world: World) -> set[str]:
    cells = await world.store.list(Cell)
    told = {world.runtime.running[cell.status.cell_id].release for cell in cells}
    assert {cell.status.release for cell in cells} == told
    return told


async def test_cells_keep_their_release_until_one_takes_them_along():
    world = await world_of()
    await world.store.apply(document())
    release = await go_on(world)
    assert release.status.phase == "Complete"
    assert await running(world) == {NEXT}
    told = [reason for kind, _, reason, _ in world.events.recorded if kind == "CellRelease"]
    assert told == ["Started", "WaveBegan", "WaveBakes", "WaveDone", "WaveBegan", "WaveBakes", "WaveDone", "Complete"]
    await world.store.delete(CellRelease, "next")
    await world.settle()
    assert await running(world) == {NEXT}


async def test_a_new_cell_begins_with_what_all_have():
    world = await world_of(2)
    await world.store.apply(document())
    await go_on(world)
    await world.store.apply({**API, "kind": "Cell", "metadata": {"name": "late"}, "spec": {}})
    await world.settle()
    assert (await world.store.get(Cell, "late")).status.release == NEXT


async def test_a_release_that_does_not_start_never_serves():
    world = await world_of()
    world.runtime.bad = {NEXT}
    await world.store.apply(document())
    seen: set[str] = set()
    for _ in range(20):
        await world.pass_once()
        seen |= {spec.release for spec in world.runtime.running.values()}
        world.now += STEP
    release = await go_on(world)
    assert release.status.phase == "RolledBack"
    assert seen == {FIRST}
    touched = [entry for _, entry in entries(release.status) if entry.begun_at]
    assert len(touched) <= 2
    assert "it ended with status 1" in touched[0].message
    assert await running(world) == {FIRST}
    assert all(cell.status.phase == "Ready" for cell in await world.store.list(Cell))


async def test_a_pin_holds_and_is_told():
    world = await world_of(3)
    await world.store.apply({**API, "kind": "Cell", "metadata": {"name": "cell-1"}, "spec": {"release": FIRST}})
    await world.store.apply(document())
    release = await go_on(world)
    assert release.status.phase == "Complete"
    assert {entry.cell: entry.message for _, entry in entries(release.status) if entry.message} == {
        "cell-1": f"it is pinned to {FIRST} (spec.release)"
    }
    assert (await world.store.get(Cell, "cell-1")).status.release == FIRST


async def test_the_second_waits_for_the_first():
    world = await world_of(2)
    await world.store.apply(document())
    await world.pass_once()
    await world.store.apply(document("third", "r00000000003"))
    await world.pass_once()
    third = await world.store.get(CellRelease, "third")
    assert third.status.phase == "Queued"
    assert "'next'" in next(item.message for item in third.status.conditions if item.type == "Progressing")
    await go_on(world)
    assert (await go_on(world, "third")).status.phase == "Complete"
    assert await running(world) == {"r00000000003"}


async def test_a_plan_changes_nothing():
    world = await world_of(3)
    await world.store.apply(document(state="Pause"))
    await world.settle()
    release = await world.store.get(CellRelease, "next")
    assert release.status.phase == "Held"
    assert [len(wave.cells) for wave in release.status.waves] == [1, 2]
    assert await running(world) == {FIRST}
    await world.store.apply(document())
    assert (await go_on(world)).status.phase == "Complete"


async def test_where_cells_follow_the_platform_it_is_refused():
    world = await world_of(1)
    world.follow = "platform"
    world.restart()
    await world.store.apply(document())
    await world.settle()
    release = await world.store.get(CellRelease, "next")
    assert release.status.phase == "Refused"
    assert {item.reason for item in release.status.conditions} >= {"CellsFollowThePlatform"}
    assert await running(world) == {FIRST}


async def disturbed(world: World, manifest: dict, die_at: int) -> tuple[int, str, set[str]]:
    """A release whose operator dies at its effect ``die_at``: effects, how it ended, what cells run."""
    count = 0

    def effect(_: str) -> None:
        nonlocal count
        count += 1
        if count == die_at:
            raise Crash

    world.hook = effect
    applied = False
    for _ in range(200):
        try:
            if not applied:
                await world.store.apply(manifest)
                applied = True
            await world.pass_once()
        except Crash:
            world.restart()
        world.now += STEP
        try:
            release = await world.store.get(CellRelease, "next")
        except Exception:
            continue
        if release.status.finished_at is not None:
            break
    world.hook = lambda _: None
    await world.settle()
    return count, release.status.phase, await running(world)


@pytest.mark.parametrize("bad", [False, True])
async def test_dying_at_any_effect_changes_nothing(bad):
    async def rollout(die_at: int) -> tuple[int, str, set[str]]:
        world = await world_of(2)
        world.runtime.bad = {NEXT} if bad else set()
        return await disturbed(world, document(), die_at)

    total, *wanted = await rollout(0)
    assert total > 10
    for at in range(1, total + 1):
        _, *found = await rollout(at)
        assert found == wanted, f"after it died at effect {at}"


async def test_what_a_later_release_has_taken_is_not_taken_back():
    world = await world_of(2)
    await world.store.apply(document())
    await go_on(world)
    await world.store.apply(document("third", "r00000000003"))
    await go_on(world, "third")
    back = {"rollback": {"reason": "too late", "actor": "ops"}}
    await world.store.apply(document(**back))
    await world.settle()
    release = await world.store.get(CellRelease, "next")
    assert {item.reason for item in release.status.conditions} == {"Valid", "Superseded"}
    assert await running(world) == {"r00000000003"}
    await world.store.apply(document("third", "r00000000003", **back))
    assert (await go_on(world, "third")).status.phase == "RolledBack"
    await world.settle()
    assert await running(world) == {FIRST}
