"""Which tenants a resync looks at."""

from __future__ import annotations

from voicehelper_crds import Condition, Tenant

from voicehelper_operator.tenants.sweep import LEAST, TURN, Sweep
from voicehelper_operator.tests.world import World

API = "voicehelper.io/v1alpha1"
COUNT = 3 * LEAST


async def world_of(count=COUNT):
    world = World()
    for kind, name, spec in (
        ("CellClass", "standard", {}),
        ("TenantPlan", "team", {"isolation": "shared"}),
        ("Cell", "shared-1", {"capacity": 2 * COUNT}),
    ):
        await world.store.apply({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec})
    for number in range(count):
        await apply(world, f"tenant-{number:03}")
    await world.settle()
    return world


async def apply(world, name, **spec):
    spec = {"planRef": "team", "admin": {"email": "admin@acme.example"}, **spec}
    await world.store.apply({"apiVersion": API, "kind": "Tenant", "metadata": {"name": name}, "spec": spec})


def sweep(world):
    return Sweep(world.store, list(world.slices))


async def test_all_have_their_turn_and_no_more_at_once_than_necessary():
    world = await world_of()
    looking, seen = sweep(world), []
    for _ in range(TURN):
        due = await looking.due()
        assert len(due) == LEAST
        seen += due
    assert len(set(seen)) == COUNT


async def test_few_are_all_looked_at_each_time():
    world = await world_of(3)
    looking = sweep(world)
    for _ in range(3):
        assert len(await looking.due()) == 3
    assert await Sweep(World().store, []).due() == set()


async def test_who_lacks_something_is_due_at_once():
    """Whatever a store lost or has otherwise, for a tenant whose turn it is not."""
    world = await world_of()
    looking = sweep(world)
    await looking.due()
    last = await world.store.get(Tenant, f"tenant-{COUNT - 1:03}")
    assert last.metadata.name not in await looking.due()
    for item in world.slices:
        kept = item.tenants.pop((last.status.cell_id, last.status.tenant_id))
        looking = sweep(world)
        assert last.metadata.name in await looking.due(), item.store
        item.tenants[last.status.cell_id, last.status.tenant_id] = kept


async def test_who_is_new_changed_or_leaves_is_due():
    world = await world_of()
    await apply(world, "zz-new")
    await apply(world, f"tenant-{COUNT - 1:03}", displayName="Other")
    await world.store.delete(Tenant, f"tenant-{COUNT - 2:03}")
    due = await sweep(world).due()
    assert {"zz-new", f"tenant-{COUNT - 1:03}", f"tenant-{COUNT - 2:03}"} <= due


async def test_a_store_that_cannot_tell_has_everybody_looked_at():
    world = await world_of()
    world.slices[0].broken = "away"
    assert len(await sweep(world).due()) == COUNT


async def test_one_failed_probe_has_its_whole_cell_looked_at():
    world = await world_of()
    tenant = await world.store.get(Tenant, "tenant-000")
    failed = Condition(
        type="Ready", status="False", reason="ProbeFailed", message="", last_transition_time="2026-01-01T00:00:00Z"
    )
    others = [item for item in tenant.status.conditions if item.type != "Ready"]
    status = tenant.status.model_copy(update={"conditions": [*others, failed]})
    await world.store.update_status(Tenant, "tenant-000", status)
    assert len(await sweep(world).due()) == COUNT
