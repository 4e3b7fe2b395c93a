"""A watch misses nothing and tells nothing twice: under load, over lost connections and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from voicehelper_core import embedded_store, errors
from voicehelper_core.embedded_store import watch
from voicehelper_crds import Cell, Tenant, TenantStatus

pytestmark = pytest.mark.integration


class Watching:
    """Follows a watch in the background and keeps what it was told."""

    def __init__(self, store, *kinds):
        self.changes, self.state = [], {}
        self._task = asyncio.create_task(self._follow(store.watch(*kinds)))

    async def _follow(self, changes):
        async for change in changes:
            self.changes.append(change)
            if change.type == "applied":
                self.state[change.kind, change.name] = change.resource
            elif change.type == "deleted":
                del self.state[change.kind, change.name]

    async def until(self, holds):
        async with asyncio.timeout(30):
            while not holds():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.01)

    async def settled(self, store, *kinds):
        """Wait until the watch has told what the store holds."""
        found = {(item.kind, item.metadata.name): item for kind in kinds for item in await store.list(kind)}
        await self.until(lambda: self.state == found)

    async def __aenter__(self):
        await self.until(lambda: any(change.type == "synced" for change in self.changes))
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


def told(watching):
    return [(change.type, change.name) for change in watching.changes]


async def test_a_list_then_changes(store, tenant):
    await store.apply(tenant("a"))
    await store.apply(tenant("b"))
    async with Watching(store, Tenant) as watching:
        assert told(watching) == [("applied", "a"), ("applied", "b"), ("synced", "")]
        await store.apply(tenant("a"))  # the same
        await store.apply(tenant("c", displayName="C"))
        await store.update_status(Tenant, "b", TenantStatus(phase="Ready"))
        await store.delete(Tenant, "a")
        await watching.until(lambda: len(watching.changes) == 6)
        assert told(watching)[3:] == [("applied", "c"), ("applied", "b"), ("deleted", "a")]
        assert watching.changes[-1].resource.spec.plan_ref == "team"
        assert watching.state["Tenant", "b"].status.phase == "Ready"


async def test_other_kinds_are_not_told(store, tenant):
    async with Watching(store, Cell) as watching:
        await store.apply(tenant())
        await store.apply(
            {"apiVersion": "voicehelper.io/v1alpha1", "kind": "Cell", "metadata": {"name": "c"}, "spec": {}}
        )
        await watching.until(lambda: len(watching.changes) == 2)
        assert told(watching) == [("synced", ""), ("applied", "c")]


async def test_a_recreated_resource_is_another_one(store, tenant):
    first = await store.apply(tenant())
    async with Watching(store, Tenant) as watching:
        await store.delete(Tenant, "acme")
        second = await store.apply(tenant())
        await watching.until(lambda: len(watching.changes) == 4)
        assert told(watching)[2:] == [("deleted", "acme"), ("applied", "acme")]
        assert watching.changes[2].resource.metadata.uid == first.metadata.uid
        assert watching.changes[3].resource == second


async def test_writers_at_once_and_a_watcher_that_misses_nothing(store, pool, tenant):
    async def write(seed):
        choice = random.Random(seed)
        for number in range(40):
            name = f"t{choice.randrange(12)}"
            with contextlib.suppress(errors.NotFound, errors.Conflict):
                match choice.randrange(4):
                    case 0:
                        await store.delete(Tenant, name)
                    case 1:
                        await store.update_status(Tenant, name, TenantStatus(phase=f"{seed}-{number}"))
                    case _:
                        await store.apply(tenant(name, displayName=f"{seed}-{number}"))

    async with Watching(store, Tenant) as watching:
        await asyncio.gather(*(write(seed) for seed in range(6)))
        await watching.settled(store, Tenant)
        versions = [int(change.resource.metadata.resource_version) for change in watching.changes if change.resource]
        assert versions == sorted(set(versions))
        removed = await pool.fetchval("SELECT count(*) FROM resources.tombstones")
        # Whoever came and went between two reads need not be told of; nothing else may be missing.
        assert sum(change.type == "deleted" for change in watching.changes) <= removed


async def test_pages_of_a_list(store, tenant, monkeypatch):
    """A list that is longer than a page, with changes and removals while it is read."""
    monkeypatch.setattr(watch, "PAGE", 3)
    for number in range(10):
        await store.apply(tenant(f"t{number}"))
    changes = store.watch(Tenant)
    state, told = {}, []
    async with asyncio.timeout(30):
        async for change in changes:
            told.append((change.type, change.name))
            if change.type == "synced":
                break
            state[change.name] = change.resource
            if change.type == "deleted":
                del state[change.name]
            if len(told) == 2:  # both were or will be told of; neither may be forgotten, nor the one that came late
                await store.delete(Tenant, "t0")
                await store.delete(Tenant, "t9")
                await store.apply(tenant("t5", displayName="changed"))
                await store.apply(tenant("late"))
    await changes.aclose()
    found = {item.metadata.name: item for item in await store.list(Tenant)}
    assert state == found
    assert set(found) == {*(f"t{number}" for number in range(1, 9)), "late"}
    assert told.count(("deleted", "t0")) == 1
    assert ("deleted", "t9") not in told


async def test_lost_connections(store, pool, tenant):
    async with Watching(store, Tenant) as watching:
        for number in range(3):
            await store.apply(tenant(f"t{number}"))
            await watching.settled(store, Tenant)
            await pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'resources' AND pid <> pg_backend_pid()"
            )
            if number:
                await store.delete(Tenant, f"t{number - 1}")
        await watching.settled(store, Tenant)
        assert [name for kind, name in told(watching) if kind == "deleted"] == ["t0", "t1"]
        assert told(watching).count(("synced", "")) == 1


async def test_a_watcher_that_comes_back_after_the_tombstones_went(store, pool, tenant):
    await store.apply(tenant("gone"))
    await store.apply(tenant("kept"))
    await store.apply(tenant("again"))
    async with Watching(store, Tenant) as watching:
        async with pool.acquire() as connection, connection.transaction():
            # What an hour does: removed, made again, and the tombstones pruned.
            await connection.execute("DELETE FROM resources.objects WHERE name IN ('gone')")
            await connection.execute(
                "UPDATE resources.objects SET uid = gen_random_uuid(), resource_version = nextval('resources.version')"
                " WHERE name = 'again'"
            )
            await connection.execute("UPDATE resources.horizon SET version = nextval('resources.version')")
        await watching.settled(store, Tenant)
        assert set(told(watching)[4:]) == {("deleted", "gone"), ("deleted", "again"), ("applied", "again")}
        before = len(watching.changes)
        await store.apply(tenant("kept", displayName="K"))
        await watching.until(lambda: len(watching.changes) == before + 1)


async def test_postgres_restarts(postgres, store, tenant):
    await store.apply(tenant("a"))
    async with Watching(store, Tenant) as watching:
        postgres.stop()
        with pytest.raises(errors.Unavailable):
            await store.get(Tenant, "a")
        postgres.start()
        await store.apply(tenant("b"))
        await watching.settled(store, Tenant)
        assert told(watching) == [("applied", "a"), ("synced", ""), ("applied", "b")]


async def test_a_watch_that_ends_gives_its_connection_back(postgres, tenant):
    pool = await embedded_store.connect(postgres.dsn)
    store = embedded_store.PostgresResourceStore(pool)
    for _ in range(15):  # more than the pool has
        watch = store.watch(Tenant)
        async for change in watch:
            if change.type == "synced":
                break
        await watch.aclose()
    await pool.close()
