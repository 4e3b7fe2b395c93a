"""What a watcher of a real API server keeps is never behind what it wrote itself."""

from __future__ import annotations

import asyncio

import pytest
from voicehelper_core import errors, kubernetes_api
from voicehelper_core.indexes import Index, counts, having
from voicehelper_core.kubernetes_api import cache
from voicehelper_core.kubernetes_api.client import Gone
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_crds import Cell, Tenant, TenantStatus

pytestmark = pytest.mark.integration


async def test_what_was_made_and_ended_while_the_watch_was_away_is_not_there(api, tenant, watching, monkeypatch):
    """The store knows it from the answer to its own write, and the list after a 410 does not say that it is gone."""
    store, away, go_on = kubernetes_api.KubernetesResourceStore(api, cached=True), asyncio.Event(), asyncio.Event()
    watch = api.watch

    async def interrupted(*arguments, **options):
        if not away.is_set():
            away.set()
            await go_on.wait()
            raise Gone("too old")
        async for item in watch(*arguments, **options):
            yield item

    monkeypatch.setattr(api, "watch", interrupted)
    watcher = watching(store.watch(Tenant))
    await watcher.until(("synced", ""))
    await away.wait()
    for name in ("went", "stays"):
        await store.apply(tenant(name))
    await api.delete(OURS["Tenant"], "went")
    assert (await store.get(Tenant, "went")).metadata.name == "went"
    go_on.set()
    await watcher.until(("deleted", "went"), ("applied", "stays"))
    with pytest.raises(errors.NotFound):
        await store.get(Tenant, "went")
    assert [item.metadata.name for item in await store.list(Tenant)] == ["stays"]


async def test_reads_of_a_watcher_cost_nothing_and_are_never_behind_its_own_writes(api, tenant, watching):
    store = kubernetes_api.KubernetesResourceStore(api, manager="operator", cached=True)
    watcher = watching(store.watch(Tenant, Cell))
    await watcher.until(("synced", ""))
    for number in range(20):
        await store.apply(tenant(f"t{number}"))
        status = TenantStatus(cell=f"c{number}", phase="Ready")
        written = await store.update_status(Tenant, f"t{number}", status)
        await store.set_finalizers(Tenant, f"t{number}", ["voicehelper.io/tenant"])
        assert (await store.get(Tenant, f"t{number}")).metadata.finalizers
        assert (await store.get(Tenant, f"t{number}")).status == written.status
    assert len(await store.list(Tenant)) == 20
    assert await store.list(Tenant, {"none": "such"}) == []
    await store.delete(Tenant, "t3")
    await store.set_finalizers(Tenant, "t3", [])
    await watcher.until(("deleted", "t3"))
    with pytest.raises(errors.NotFound):
        await store.get(Tenant, "t3")
    assert len(await store.list(Tenant)) == 19
    await watcher.end()
    assert (await store.get(Tenant, "t4")).metadata.name == "t4"  # from the API server again


@pytest.mark.parametrize("models", [1000, 3])
async def test_indexes_follow_the_watch_and_own_writes(api, kubernetes_store, tenant, watching, monkeypatch, models):
    """The same as of a store that lists, also where a cache is so large that it keeps JSON."""
    monkeypatch.setattr(cache, "_MODELS", models)
    store = kubernetes_api.KubernetesResourceStore(api, manager="operator", cached=True)
    homes, by_plan = Index(Tenant, lambda item: item.status.cell), Index(Tenant, lambda item: item.spec.plan_ref)
    await kubernetes_store.apply(tenant("t0"))
    assert dict(await counts(store, homes)) == {}  # nobody watches yet
    watcher = watching(store.watch(Tenant))
    await watcher.until(("synced", ""))
    for number in range(1, 6):
        await store.apply(tenant(f"t{number}"))
        await store.update_status(Tenant, f"t{number}", TenantStatus(cell=f"c{number % 2}"))
        assert sum((await counts(store, homes)).values()) == number
    assert dict(await counts(store, homes)) == {"c0": 2, "c1": 3}
    await store.update_status(Tenant, "t1", TenantStatus(cell="c0"))
    assert [item.metadata.name for item in await having(store, homes, "c0")] == ["t1", "t2", "t4"]
    await kubernetes_store.delete(Tenant, "t2")
    await watcher.until(("deleted", "t2"))
    for index in (homes, by_plan):
        assert dict(await counts(store, index)) == dict(await counts(kubernetes_store, index))
    assert await store.list(Tenant) == await kubernetes_store.list(Tenant)
    assert await having(store, homes, "nowhere") == []
