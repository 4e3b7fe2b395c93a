"""Stages where what is tried has pods of its own, and what serves is replaced pod by pod once the release is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from voicehelper_crds import Cell, CellRelease

from voicehelper_operator.cells import canary
from voicehelper_operator.releases.tests.test_world import FIRST, NEXT, disturbed, go_on, running
from voicehelper_operator.releases.tests.test_world_stages import at_weight, staged, staged_world
from voicehelper_operator.tests.world import World

SHORT = [{"weight": 50, "seconds": 5, "maxErrorPercent": 1.0}]


@pytest.fixture(autouse=True)
def routers_hear_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(canary, "ROUTED_SECONDS", 0.0)


@dataclass
class Users:
    """Looks, after every write and every change of what runs, at what routers do by the status of the cells."""

    world: World
    shares: dict[str, list[int]] = field(default_factory=dict)
    """By cell: percent of the users who surely get the new release, as it changed."""

    def look(self) -> None:
        runtime = self.world.runtime
        for item in self.world.store.objects.values():
            if not isinstance(item, Cell) or item.status.cell_id not in runtime.running:
                continue
            cell_id, told = item.status.cell_id, item.status.canary
            serves = 100 if runtime.running[cell_id].release == NEXT and cell_id not in runtime.rolling else 0
            share = serves
            if told is not None and told.ready:
                assert runtime.beside[cell_id].release == told.release, "users are sent to what does not run"
                share = told.weight + (100 - told.weight) * serves // 100
            seen = self.shares.setdefault(item.metadata.name, [])
            if not seen or seen[-1] != share:
                seen.append(share)


async def watched(cells: int = 1, *, errors: float = 0.0) -> tuple[World, Users]:
    world = await staged_world(cells, errors=errors)
    world.runtime.pods = True
    users = Users(world)
    write, ensure = world.store.update_status, world.runtime.ensure

    async def written(*arguments: Any, **named: Any) -> Any:
        found = await write(*arguments, **named)
        users.look()
        return found

    async def ensured(spec: Any) -> Any:
        found = await ensure(spec)
        users.look()
        return found

    world.store.update_status = written  # type: ignore[method-assign]
    world.runtime.ensure = ensured  # type: ignore[method-assign]
    return world, users


async def test_nobody_gets_back_to_what_served_while_it_is_replaced():
    world, users = await watched(2)
    await world.store.apply(staged())
    assert (await go_on(world)).status.phase == "Complete"
    assert users.shares == {"cell-0": [0, 20, 100], "cell-1": [0, 20, 100]}
    assert await running(world) == {NEXT} and not world.runtime.beside
    assert all(cell.status.canary is None for cell in await world.store.list(Cell))


async def test_the_last_stage_need_not_be_all_users():
    world, users = await watched()
    await world.store.apply(staged(SHORT))
    assert (await go_on(world)).status.phase == "Complete"
    assert users.shares == {"cell-0": [0, 50, 100]}


async def test_what_goes_back_ends_after_the_router_has_heard_of_it():
    world, users = await watched(errors=0.3)
    await world.store.apply(staged())
    assert (await go_on(world)).status.phase == "RolledBack"
    assert users.shares == {"cell-0": [0, 20, 0]}
    assert await running(world) == {FIRST} and not world.runtime.beside
    assert all(cell.status.canary is None for cell in await world.store.list(Cell))


async def test_it_runs_on_until_routers_have_had_their_time(monkeypatch: pytest.MonkeyPatch):
    world, _ = await watched()
    await world.store.apply(staged())
    cell = await at_weight(world, 20)
    monkeypatch.setattr(canary, "ROUTED_SECONDS", 3600.0)
    await world.store.delete(CellRelease, "next")
    for _ in range(5):
        await world.pass_once()
    told = (await world.store.get(Cell, cell.metadata.name)).status
    assert told.canary is not None and told.release == FIRST
    assert (told.canary.ready, told.canary.weight, told.canary.leaving_since is None) == (False, 0, False)
    assert world.runtime.beside, "requests under way are not cut off"
    result = await world.cells.reconcile(cell.metadata.name)
    assert result.after is not None and 3500 < result.after <= 3600, "nobody else would say that the time is over"
    world.restart()
    monkeypatch.setattr(canary, "ROUTED_SECONDS", 0.0)
    await world.settle()
    assert not world.runtime.beside
    assert (await world.store.get(Cell, cell.metadata.name)).status.canary is None


async def test_a_store_that_is_away_sends_nobody_back():
    """Its steps stop before the workload, with the release through and nothing of it told to the runtime yet."""
    world, users = await watched()
    await world.store.apply(staged())
    await at_weight(world, 100)
    world.slices[0].broken = "postgres is away"
    for _ in range(4):
        await world.pass_once()
    world.slices[0].broken = ""
    assert (await go_on(world)).status.phase == "Complete"
    assert users.shares == {"cell-0": [0, 20, 100]}


@pytest.mark.parametrize("errors", [0.0, 0.3])
async def test_dying_at_any_effect_changes_nothing(errors: float):
    async def rollout(die_at: int) -> tuple[int, str, set[str], list[int]]:
        world, users = await watched(errors=errors)
        told = await disturbed(world, staged(SHORT), die_at)
        assert not world.runtime.beside and not world.runtime.rolling
        return *told, users.shares["cell-0"]

    total, *wanted = await rollout(0)
    assert total > 10 and wanted == (
        ["RolledBack", {FIRST}, [0, 50, 0]] if errors else ["Complete", {NEXT}, [0, 50, 100]]
    )
    for at in range(1, total + 1):
        _, *found = await rollout(at)
        assert found == wanted, f"after it died at effect {at}"
