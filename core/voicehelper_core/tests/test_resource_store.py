"""What every resource store promises: the embedded one on a real Postgres, the other on a real API server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from voicehelper_core import errors
from voicehelper_core.resource_rules import is_paused
from voicehelper_crds import Cell, CellStatus, Condition, Tenant, TenantPlan, TenantStatus
from voicehelper_crds.cells import Endpoints

pytestmark = pytest.mark.integration


@pytest.fixture(params=["postgres", "kubernetes"])
def store(request):
    return request.getfixturevalue(f"{request.param}_store")


async def eventually(holds):
    """Kubernetes' controllers take their time."""
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.05)


def condition(status="True"):
    return Condition(
        type="Ready", status=status, reason="Probe", message="ok", last_transition_time=datetime(2026, 1, 1, tzinfo=UTC)
    )


def cell(name="c1", owner=None, **spec):
    metadata = {"name": name}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner.kind, "name": owner.metadata.name, "uid": owner.metadata.uid}]
    return {"apiVersion": "voicehelper.io/v1alpha1", "kind": "Cell", "metadata": metadata, "spec": spec}


async def test_what_the_store_keeps_itself(store, tenant):
    manifest = tenant(metadata={"uid": None, "labels": {"a": "b"}}) | {"status": {"phase": "Ready"}}
    made = await store.apply(manifest)
    assert made.metadata.generation == 1
    assert made.metadata.uid
    assert made.metadata.creation_timestamp.tzinfo is not None
    assert made.status == TenantStatus()  # a manifest cannot set it
    assert await store.get(Tenant, "acme") == made


async def test_generation_rises_with_the_spec_only(store, tenant):
    first = await store.apply(tenant())
    labelled = await store.apply(tenant(metadata={"labels": {"team": "one"}}))
    assert labelled.metadata.generation == 1
    assert labelled.metadata.resource_version != first.metadata.resource_version
    changed = await store.apply(tenant(displayName="Acme"))
    assert changed.metadata.generation == 2
    assert changed.metadata.labels == {}
    assert changed.metadata.uid == first.metadata.uid


async def test_applying_the_same_writes_nothing(store, tenant):
    first = await store.apply(tenant())
    again = await store.apply(tenant())
    assert again.metadata.resource_version == first.metadata.resource_version
    shown = first.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert (await store.apply(shown)).metadata.resource_version == first.metadata.resource_version


async def test_refusals(store, tenant):
    made = await store.apply(tenant())
    with pytest.raises(errors.InvalidArgument) as invalid:
        await store.apply(tenant(qouta={}))
    assert invalid.value.extra["errors"] == [{"path": "spec.qouta", "reason": "unknown field; did you mean 'quota'?"}]
    with pytest.raises(errors.Conflict, match="exists"):
        await store.create(tenant())
    await store.apply(tenant(suspended=True))
    with pytest.raises(errors.Conflict, match="read it again"):
        await store.apply(tenant(metadata={"resourceVersion": made.metadata.resource_version}))
    with pytest.raises(errors.Conflict, match="another one"):
        await store.apply(tenant(metadata={"uid": "00000000-0000-0000-0000-000000000000"}))
    with pytest.raises(errors.Conflict, match="does not exist"):
        await store.apply(tenant("other", metadata={"resourceVersion": "1"}))
    for name in ("nobody", "a\0b", "\ud800"):
        with pytest.raises(errors.NotFound):
            await store.get(Tenant, name)
    with pytest.raises(errors.NotFound):
        await store.delete(Tenant, "nobody")
    await store.apply(cell())
    with pytest.raises(errors.InvalidArgument, match="for life") as changed:
        await store.apply(cell(tenancy="dedicated"))
    assert changed.value.extra["errors"][0]["path"] == "spec.tenancy"


async def test_status(store, tenant):
    made = await store.apply(tenant())
    status = TenantStatus(phase="Ready\0", conditions=[condition()])
    one = await store.update_status(Tenant, "acme", status, resource_version=made.metadata.resource_version)
    assert one.status.phase == "Ready"
    assert one.metadata.generation == 1
    same = await store.update_status(Tenant, "acme", one.status)
    assert same.metadata.resource_version == one.metadata.resource_version
    with pytest.raises(errors.Conflict):
        await store.update_status(Tenant, "acme", status, resource_version=made.metadata.resource_version)
    with pytest.raises(errors.NotFound):
        await store.update_status(Tenant, "nobody", status)
    applied = await store.apply(tenant(displayName="Acme"))
    assert applied.status == one.status


async def test_what_is_being_deleted_can_be_paused_and_resumed(store, tenant):
    await store.apply(tenant())
    await store.set_finalizers(Tenant, "acme", ["x.io/a"])
    await store.delete(Tenant, "acme")
    paused = {"annotations": {"voicehelper.io/paused": "true"}}
    assert is_paused(await store.apply(tenant(metadata=paused)))
    for other in (tenant(metadata=paused), tenant(displayName="Acme"), tenant(metadata={"labels": {"a": "b"}})):
        with pytest.raises(errors.Conflict, match="being deleted"):
            await store.apply(other)
    assert not is_paused(await store.apply(tenant()))
    await store.set_finalizers(Tenant, "acme", [])


async def test_deletion_waits_for_the_last_finalizer(store, tenant):
    await store.apply(tenant())
    await store.set_finalizers(Tenant, "acme", ["x.io/a", "x.io/b"])
    await store.delete(Tenant, "acme")
    asked = await store.get(Tenant, "acme")
    assert asked.metadata.deletion_timestamp
    await store.delete(Tenant, "acme")
    assert await store.get(Tenant, "acme") == asked
    with pytest.raises(errors.Conflict, match="being deleted"):
        await store.apply(tenant(displayName="Acme"))
    with pytest.raises(errors.Conflict, match="being deleted"):
        await store.set_finalizers(Tenant, "acme", ["x.io/a", "x.io/b", "x.io/c"])
    await store.set_finalizers(Tenant, "acme", ["x.io/b"])
    assert (await store.get(Tenant, "acme")).metadata.finalizers == ["x.io/b"]
    await store.set_finalizers(Tenant, "acme", [])
    with pytest.raises(errors.NotFound):
        await store.get(Tenant, "acme")
    again = await store.apply(tenant())
    assert again.metadata.uid != asked.metadata.uid


async def test_protected_resources_stay(store, tenant):
    await store.apply(tenant(deletion={"protect": True}))
    with pytest.raises(errors.PermissionDenied, match="protect"):
        await store.delete(Tenant, "acme")
    await store.apply(tenant())
    await store.delete(Tenant, "acme")
    assert await store.list(Tenant) == []


async def test_owners_take_along_what_they_own(store, tenant):
    owner, other = await store.apply(tenant()), await store.apply(tenant("other"))
    await store.create(cell("mine", owner))
    await store.create(cell("kept", owner))
    await store.set_finalizers(Cell, "kept", ["voicehelper.io/slow"])
    await store.create(cell("theirs", other))
    both = cell("both", owner)
    both["metadata"]["ownerReferences"].append({"kind": "Tenant", "name": "other", "uid": other.metadata.uid})
    await store.create(both)
    await store.set_finalizers(Tenant, "acme", ["voicehelper.io/slow"])
    await store.delete(Tenant, "acme")
    assert all(not item.metadata.deletion_timestamp for item in await store.list(Cell))
    await store.set_finalizers(Tenant, "acme", [])

    async def left():
        return {item.metadata.name: bool(item.metadata.deletion_timestamp) for item in await store.list(Cell)}

    async def first_gone():
        return await left() == {"both": False, "kept": True, "theirs": False}

    async def both_gone():
        return await left() == {"kept": True}

    await eventually(first_gone)
    await store.delete(Tenant, "other")
    await eventually(both_gone)


async def test_a_protected_dependant_keeps_its_owner(store, tenant):
    owner = await store.apply(tenant())
    await store.create(cell("mine", owner, deletion={"protect": True}))
    with pytest.raises(errors.PermissionDenied, match="mine"):
        await store.delete(Tenant, "acme")
    assert not (await store.get(Tenant, "acme")).metadata.deletion_timestamp


async def test_list(store, tenant):
    for name in ("b", "a-b", "ab", "a"):
        await store.apply(tenant(name, metadata={"labels": {"first": name[0], "x": "y"}}))
    assert [item.metadata.name for item in await store.list(Tenant)] == ["a", "a-b", "ab", "b"]
    assert [item.metadata.name for item in await store.list(Tenant, {"first": "b"})] == ["b"]
    assert await store.list(TenantPlan) == []


async def test_concurrent_writers_of_one_resource(store, tenant):
    await store.apply(tenant())
    await asyncio.gather(*(store.apply(tenant(displayName=f"n{number}")) for number in range(20)))
    assert (await store.get(Tenant, "acme")).metadata.generation == 21
    made = await asyncio.gather(*(store.create(tenant("one")) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(item, Tenant) for item in made) == 1
    assert sum(isinstance(item, errors.Conflict) for item in made) == 4


async def test_a_list_follows_every_change(store, tenant):
    """It reads again only what has changed, and that must never be too little."""

    def named(number, **spec):
        return tenant(metadata={"name": f"list-{number}"}, **spec)

    for number in range(3):
        await store.apply(named(number))
    assert [item.metadata.name for item in await store.list(Tenant)] == ["list-0", "list-1", "list-2"]
    await store.update_status(Tenant, "list-1", TenantStatus(cell="there"))
    await store.delete(Tenant, "list-0")
    await store.apply(named(2, displayName="Another"))
    first, second = await store.list(Tenant)
    assert (first.metadata.name, first.status.cell) == ("list-1", "there")
    assert (second.metadata.name, second.spec.display_name, second.metadata.generation) == ("list-2", "Another", 2)
    await store.delete(Tenant, "list-2")
    await store.apply(named(2))
    again = (await store.list(Tenant))[1]
    assert again.metadata.generation == 1
    assert again.metadata.uid != second.metadata.uid


async def test_what_was_filled_can_be_emptied(store, tenant):
    await store.apply(tenant(quota={"users": 5}, metadata={"labels": {"a": "b"}}))
    emptied = await store.apply(tenant())
    assert emptied.spec.quota.users is None
    assert emptied.metadata.labels == {}
    await store.apply(cell())
    await store.update_status(Cell, "c1", CellStatus(endpoints=Endpoints(http="h:1", grpc="h:2")))
    assert (await store.update_status(Cell, "c1", CellStatus())).status.endpoints == Endpoints()


async def test_what_was_created_can_be_applied(store, tenant):
    await store.create(tenant(displayName="One"))
    await store.set_finalizers(Tenant, "acme", ["x.io/a"])
    changed = await store.apply(tenant(displayName="Another", suspended=True))
    assert (changed.spec.display_name, changed.spec.suspended) == ("Another", True)
    assert changed.metadata.finalizers == ["x.io/a"]
    assert (await store.apply(tenant())).spec.suspended is False
