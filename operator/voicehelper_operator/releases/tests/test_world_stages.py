"""Stages with the reconcilers of cells and tenants, over memory; the operator dies at every effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from voicehelper_crds import Cell, CellRelease, Tenant

from voicehelper_operator.releases.progress import entries
from voicehelper_operator.releases.tests.test_world import (
    API,
    FIRST,
    NEXT,
    STEP,
    disturbed,
    document,
    go_on,
    running,
    world_of,
)
from voicehelper_operator.tests.world import World

STAGES = [
    {"weight": 20, "seconds": 20, "maxErrorPercent": 1.0, "maxP95Milliseconds": 500},
    {"weight": 100, "seconds": 0},
]


def staged(stages: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    strategy = {
        "waves": [{"name": "one", "maxCells": 1, "bake": {"seconds": 8}}, {"name": "all", "bake": {"seconds": 8}}],
        "failurePolicy": {"unhealthySeconds": 5},
        "traffic": {"stages": STAGES if stages is None else stages},
    }
    return document(strategy=strategy, **more)


async def staged_world(cells: int = 2, *, errors: float = 0.0) -> World:
    world = await world_of(cells)
    world.traffic.requests, world.traffic.errors = 1000, errors
    return world


async def at_weight(world: World, weight: int) -> Cell:
    """Passes until a cell has so many users in the release that is tried."""
    for _ in range(100):
        await world.pass_once()
        for cell in await world.store.list(Cell):
            if cell.status.canary is not None and cell.status.canary.weight == weight:
                return cell
        world.now += STEP
    raise AssertionError("no cell gets there")


async def test_the_canary_is_in_the_cells_status_and_every_tenant_is_asked():
    world = await staged_world()
    await world.store.apply(staged())
    cell = await at_weight(world, 20)
    assert cell.status.canary is not None and cell.status.canary.release == NEXT
    assert cell.status.release == FIRST
    assert cell.status.canary.endpoints.http == "127.0.0.1:3" and cell.status.endpoints.http == "127.0.0.1:1"
    tenant = next(item for item in await world.store.list(Tenant) if item.status.cell == cell.metadata.name)
    told = {item.type: (item.status, item.message) for item in tenant.status.conditions}
    assert told["CanaryAnswers"] == ("True", NEXT) and told["Ready"][0] == "True"
    assert (await go_on(world)).status.phase == "Complete"
    assert await running(world) == {NEXT}
    assert all(item.status.canary is None for item in await world.store.list(Cell))
    for item in await world.store.list(Tenant):
        assert "CanaryAnswers" not in {condition.type for condition in item.status.conditions}
    told_events = [reason for kind, _, reason, _ in world.events.recorded if kind == "CellRelease"]
    assert told_events.count("StageBegan") == 4


async def test_a_cell_that_answers_with_errors_goes_back_as_it_was():
    world = await staged_world(errors=0.3)
    before = {cell.metadata.name: cell.status.endpoints for cell in await world.store.list(Cell)}
    await world.store.apply(staged())
    release = await go_on(world)
    assert release.status.phase == "RolledBack"
    assert release.status.ended is not None and release.status.ended.metric == "errors"
    assert await running(world) == {FIRST}
    touched = [entry for _, entry in entries(release.status) if entry.begun_at]
    assert len(touched) == 1
    for cell in await world.store.list(Cell):
        assert (cell.status.canary, cell.status.endpoints) == (None, before[cell.metadata.name])
        assert cell.status.phase == "Ready"


async def test_a_tenant_whom_the_canary_answers_wrongly_is_ready_and_ends_it():
    world = await staged_world()
    world.canary_trouble = "cell x answered"
    await world.store.apply(staged())
    for _ in range(4):
        await world.pass_once()
        world.now += STEP
    for item in await world.store.list(Tenant):
        assert {c.type: c.status for c in item.status.conditions}["Ready"] == "True"
    release = await go_on(world)
    assert release.status.phase == "RolledBack" and release.status.ended is not None
    assert "cell x answered" in release.status.ended.message
    assert {cell.status.release for cell in await world.store.list(Cell)} == {FIRST}


async def test_without_the_release_a_cell_goes_back_to_what_serves():
    world = await staged_world()
    await world.store.apply(staged())
    cell = await at_weight(world, 20)
    await world.store.delete(CellRelease, "next")
    await world.settle()
    now = await world.store.get(Cell, cell.metadata.name)
    assert (now.status.release, now.status.canary) == (FIRST, None)
    assert await running(world) == {FIRST} and not world.runtime.beside


async def test_a_cell_that_sleeps_wakes_with_what_it_ran_and_then_has_stages():
    world = await staged_world(1)
    cell = (await world.store.list(Cell))[0]
    world.runtime.running.clear()
    await world.store.apply(staged())
    seen = set()
    for _ in range(10):
        await world.pass_once()
        seen |= {spec.release for spec in world.runtime.running.values()}
        world.now += timedelta(seconds=1)
    assert seen == {FIRST}
    assert (await go_on(world)).status.phase == "Complete"
    assert (await world.store.get(Cell, cell.metadata.name)).status.release == NEXT


async def test_where_nothing_can_stay_beside_it_is_refused(monkeypatch: pytest.MonkeyPatch):
    world = await staged_world(1)
    monkeypatch.setattr(type(world.runtime), "canaries", frozenset())
    world.restart()
    await world.store.apply(staged())
    await world.settle()
    release = await world.store.get(CellRelease, "next")
    assert release.status.phase == "Refused"
    assert {item.reason for item in release.status.conditions} == {"StagesNotSupported", "Refused"}
    told = next(item.message for item in release.status.conditions if item.type == "Accepted")
    assert told.startswith("cell-0: no release can be tried beside services that call each other by name")
    await world.store.apply(staged([]))
    assert (await go_on(world)).status.phase == "Complete"


async def expanded_too(world: World) -> None:
    """One more cell, whose topology has no stages; no runtime of memory tells the two apart."""
    world.runtime.topologies = frozenset({"compact", "expanded"})  # type: ignore[misc]
    meta = {"name": "wide", "labels": {"topology": "expanded"}}
    await world.store.apply({**API, "kind": "Cell", "metadata": meta, "spec": {"topology": "expanded"}})
    await world.settle()
    assert (await world.store.get(Cell, "wide")).status.phase == "Ready"


async def test_a_release_with_stages_is_refused_where_a_cell_is_expanded():
    world = await staged_world(1)
    await expanded_too(world)
    await world.store.apply(staged())
    await world.settle()
    release = await world.store.get(CellRelease, "next")
    told = {item.type: (item.reason, item.message) for item in release.status.conditions}
    assert release.status.phase == "Refused" and told["Accepted"][0] == "StagesNotSupported"
    assert told["Accepted"][1].startswith("wide: ") and "spec.cellSelector" in told["Accepted"][1]
    await world.store.apply(
        {**API, "kind": "Cell", "metadata": {"name": "cell-0", "labels": {"tier": "one"}}, "spec": {}}
    )
    await world.store.apply(staged(cellSelector={"matchLabels": {"tier": "one"}}))
    assert (await go_on(world)).status.phase == "Complete"
    assert (await world.store.get(Cell, "wide")).status.release == FIRST


async def test_a_cell_that_is_expanded_meanwhile_is_left_out():
    world = await staged_world(1)
    await world.store.apply(staged())
    await at_weight(world, 20)
    await expanded_too(world)
    release = await go_on(world)
    assert release.status.phase == "Complete"
    assert [entry.cell for _, entry in entries(release.status)] == ["cell-0"]
    assert (await world.store.get(Cell, "wide")).status.release == FIRST


@pytest.mark.parametrize("errors", [0.0, 0.3])
async def test_dying_at_any_effect_changes_nothing(errors):
    short = [{"weight": 50, "seconds": 5, "maxErrorPercent": 1.0}]

    async def rollout(die_at: int) -> tuple[int, str, set[str]]:
        return await disturbed(await staged_world(1, errors=errors), staged(short), die_at)

    total, *wanted = await rollout(0)
    assert total > 10 and wanted[0] == ("RolledBack" if errors else "Complete")
    for at in range(1, total + 1):
        _, *found = await rollout(at)
        assert found == wanted, f"after it died at effect {at}"
