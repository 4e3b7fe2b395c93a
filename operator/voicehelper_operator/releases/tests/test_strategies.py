"""Releases that name a strategy: it is looked up until they begin, and holds as it was then."""

from __future__ import annotations

from typing import Any

from voicehelper_crds import CellRelease, CellReleaseStrategy

from voicehelper_operator.releases.tests.test_world import API, FIRST, NEXT, WAVES, go_on, running, world_of
from voicehelper_operator.tests.world import World


def naming(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"release": NEXT, "strategyRef": name, **spec}
    return {**API, "kind": "CellRelease", "metadata": {"name": "next"}, "spec": spec}


def strategy(name: str, **spec: Any) -> dict[str, Any]:
    return {**API, "kind": "CellReleaseStrategy", "metadata": {"name": name}, "spec": spec}


async def seen(world: World) -> CellRelease:
    await world.pass_once()
    return await world.store.get(CellRelease, "next")


async def test_it_holds_as_it_was_when_the_release_began():
    world = await world_of(4)
    await world.store.apply(strategy("careful", waves=WAVES))
    await world.store.apply(naming("careful"))
    begun = await seen(world)
    await world.store.apply(strategy("careful", waves=[{"name": "at-once"}]))
    release = await go_on(world)
    assert release.status.phase == "Complete"
    assert [wave.name for wave in release.status.waves] == ["one", "all"]
    assert release.status.strategy == begun.status.strategy


async def test_until_then_its_changes_are_seen():
    world = await world_of(2)
    await world.store.apply(strategy("careful", waves=WAVES))
    await world.store.apply(naming("careful", state="Pause"))
    assert [wave.name for wave in (await seen(world)).status.waves] == ["one", "all"]
    await world.store.apply(strategy("careful", waves=[{"name": "at-once"}]))
    assert [wave.name for wave in (await seen(world)).status.waves] == ["at-once"]


async def test_one_that_is_not_there_refuses_the_release_until_it_is():
    world = await world_of(2)
    await world.store.apply(naming("careful"))
    refused = await seen(world)
    assert refused.status.phase == "Refused"
    told = {(item.type, item.reason, item.message) for item in refused.status.conditions}
    why = "there is no CellReleaseStrategy 'careful': apply it, or change spec.strategyRef"
    assert ("Accepted", "StrategyNotFound", why) in told
    assert await running(world) == {FIRST}
    await world.store.apply(strategy("careful", waves=WAVES))
    assert (await go_on(world)).status.phase == "Complete"


async def test_one_that_is_deleted_later_is_not_missed():
    world = await world_of(2)
    await world.store.apply(strategy("careful", waves=WAVES))
    await world.store.apply(naming("careful"))
    await seen(world)
    await world.store.delete(CellReleaseStrategy, "careful")
    assert (await go_on(world)).status.phase == "Complete"
