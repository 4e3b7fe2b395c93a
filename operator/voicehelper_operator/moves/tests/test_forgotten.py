"""A move that is deleted ends by itself: nothing but its own looks brings it further."""

from __future__ import annotations

import pytest
from voicehelper_core import errors
from voicehelper_crds import TenantMove

from voicehelper_operator.moves import switch
from voicehelper_operator.moves.tests.test_world import home, look, move, world_of
from voicehelper_operator.tests.world import World


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "_SETTLE_SECONDS", 0)


async def looks(world: World) -> None:
    """Those that follow on each other at once."""
    for _ in range(20):
        if (await world.moves.reconcile("m")).after != 0:
            return
        world.copier.removed()
    raise AssertionError("it looks for ever")


async def forgotten(world: World) -> None:
    """Deleted, it is gone after its own looks."""
    await world.store.delete(TenantMove, "m")
    with pytest.raises(errors.NotFound):
        await looks(world)
        await look(world)


async def test_in_its_grace_it_cleans_up_and_is_gone():
    world = await world_of()
    await world.store.apply(move(graceSeconds=3600))
    await looks(world)
    assert (await look(world)).status.phase == "Grace"
    await forgotten(world)
    await world.settle()
    assert await home(world) == "two"


async def test_after_its_end_it_is_gone():
    world = await world_of()
    await world.store.apply(move())
    await looks(world)
    assert (await look(world)).status.phase == "Complete"
    await forgotten(world)
