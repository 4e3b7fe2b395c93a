"""A watch of a real API server tells all changes, whatever happens to it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from voicehelper_core import errors
from voicehelper_core.kubernetes_api.client import Gone
from voicehelper_core.kubernetes_api.follow import Selection, follow
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_crds import Condition, Tenant, TenantPlan, TenantStatus

pytestmark = pytest.mark.integration


async def test_watch(kubernetes_store, tenant, watching):
    store = kubernetes_store
    await store.apply(tenant("first"))
    watcher = watching(store.watch(Tenant, TenantPlan))
    await watcher.until(("applied", "first"), ("synced", ""))
    await store.apply(tenant("second"))
    await watcher.until(("applied", "second"))
    await store.delete(Tenant, "first")
    await watcher.until(("deleted", "first"))
    last = next(resource for type_, _, resource in watcher.seen if type_ == "deleted")
    assert last.spec.plan_ref == "team"
    assert [type_ for type_, _, _ in watcher.seen].count("synced") == 1


async def test_what_ended_while_the_watch_was_away_is_told(api, kubernetes_store, tenant, monkeypatch):
    """The version that the watch stood at is compacted away meanwhile: it has to list anew."""
    store, deltas, away = kubernetes_store, [], asyncio.Event()
    for name in ("stays", "goes", "is-made-anew"):
        await store.apply(tenant(name))
    watch = api.watch

    async def interrupted(*arguments, **options):
        if away.is_set():
            away.clear()
            await store.delete(Tenant, "goes")
            await store.delete(Tenant, "is-made-anew")
            await store.apply(tenant("is-made-anew"))
            raise Gone("too old")
        async for item in watch(*arguments, **options):
            yield item
            if away.is_set():
                return

    monkeypatch.setattr(api, "watch", interrupted)
    async with aclosing(follow(api, Selection(OURS["Tenant"]))) as stream, asyncio.timeout(20):
        async for delta in stream:
            deltas.append((delta.type, delta.object.get("metadata", {}).get("name")))
            if deltas.count(("synced", None)) == 1 and not away.is_set():
                away.set()
                await store.apply(tenant("stays", displayName="wakes the watch"))
            if deltas.count(("synced", None)) == 2:
                break
    after = deltas[deltas.index(("synced", None)) + 1 :]
    assert ("deleted", "goes") in after
    assert after.index(("deleted", "is-made-anew")) < after.index(("applied", "is-made-anew"))


async def test_the_api_server_may_go_and_come_back(api_server, kubernetes_store, tenant, watching):
    store = kubernetes_store
    watcher = watching(store.watch(Tenant))
    await watcher.until(("synced", ""))
    await asyncio.to_thread(api_server.stop)
    with pytest.raises(errors.Unavailable, match="does not answer"):
        await store.get(Tenant, "acme")
    await asyncio.to_thread(api_server.start)
    await store.apply(tenant("late"))
    await watcher.until(("applied", "late"))


async def test_an_object_as_large_as_the_api_server_keeps_comes_through_the_watch(
    api, kubernetes_store, tenant, watching
):
    """A mebibyte in one line: aiohttp's own reading of lines has a limit."""
    watcher = watching(kubernetes_store.watch(Tenant))
    await watcher.until(("synced", ""))
    await kubernetes_store.apply(tenant("large"))
    message = '"' * 31_000  # each needs two characters in JSON
    conditions = [
        Condition(type=f"C{n}", status="True", reason="R", message=message, last_transition_time=datetime.now(UTC))
        for n in range(16)
    ]
    await kubernetes_store.update_status(Tenant, "large", TenantStatus(conditions=conditions))
    async with asyncio.timeout(20):
        while not any(
            r and r.metadata.name == "large" and r.status.conditions == conditions for _, _, r in watcher.seen
        ):
            await asyncio.sleep(0.05)
