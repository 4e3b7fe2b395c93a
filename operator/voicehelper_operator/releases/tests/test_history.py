"""Releases that ended long ago are removed, but for those that cells depend on."""

from __future__ import annotations

from voicehelper_crds import Cell, CellRelease

from voicehelper_operator.releases.tests.test_world import API, FIRST, NEXT, document, go_on, running, world_of
from voicehelper_operator.tests.world import World

BACK = {"rollback": {"reason": "too late", "actor": "ops"}}


async def remembering(keep: int, cells: int = 2) -> World:
    world = await world_of(cells)
    world.history = keep
    world.restart()
    return world


async def known(world: World) -> set[str]:
    await world.settle()
    return {item.metadata.name for item in await world.store.list(CellRelease)}


async def brought(world: World, *numbers: int) -> None:
    for number in numbers:
        await world.store.apply(document(f"n{number}", f"r{number:011d}"))
        await go_on(world, f"n{number}")


async def test_the_oldest_go_first():
    world = await remembering(2)
    await brought(world, 2, 3)
    assert await known(world) == {"n2", "n3"}
    await brought(world, 4, 5)
    assert await known(world) == {"n4", "n5"}
    assert await running(world) == {"r00000000005"}


async def test_what_cells_run_can_be_taken_back_whatever_ended_since():
    world = await remembering(1)
    await brought(world, 2)
    world.runtime.bad = {"r00000000003", "r00000000004"}
    await brought(world, 3, 4)
    assert await known(world) == {"n2", "n4"}
    await world.store.apply(document("n2", NEXT, **BACK))
    assert (await go_on(world, "n2")).status.phase == "RolledBack"
    assert await running(world) == {FIRST}
    world.runtime.bad.clear()
    await brought(world, 5)
    assert await known(world) == {"n5"}


async def test_what_a_cell_has_stayed_with_is_kept():
    world = await remembering(1)
    await brought(world, 2)
    pinned = {**API, "kind": "Cell", "metadata": {"name": "cell-0"}, "spec": {"release": NEXT}}
    await world.store.apply(pinned)
    await brought(world, 3, 4)
    assert await known(world) == {"n2", "n4"}
    assert {cell.status.release for cell in await world.store.list(Cell)} == {NEXT, "r00000000004"}


async def test_one_that_has_not_ended_is_none_of_the_history():
    world = await remembering(1)
    await world.store.apply(document("held", state="Pause"))
    await world.settle()
    assert await known(world) == {"held"}
