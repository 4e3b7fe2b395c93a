"""Pausing as people do it, by kubectl, on a real API server."""

from __future__ import annotations

import asyncio

import pytest
from voicehelper_e2e.bad_api.process import operator
from voicehelper_e2e.bad_api.proxy import bad_api
from voicehelper_e2e.bad_api.schedule import Schedule
from voicehelper_e2e.bad_api.tests.test_misbehaves import settled
from voicehelper_e2e.bad_api.world import CELL, TENANT, condition

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def until(world, kind, name, holds, seconds=20):
    async with asyncio.timeout(seconds):
        while not holds(item := await world.api.get(kind, name)):
            await asyncio.sleep(0.1)
    return item


async def test_a_paused_resource_is_left_alone_until_it_is_resumed(api_server, world, tmp_path):
    async with bad_api(api_server, Schedule(1, 0.0), tmp_path) as api:
        with operator(api.kubeconfig, tmp_path / "one", world.folder) as one:
            world.operators = [one]
            await world.prepare(cells=1)
            for name, plan in (("acme", "team"), ("globex", "enterprise")):
                await world.create(name, plan)
            await world.until_done({"acme", "globex"})

            async def annotate(kind, name, change):
                await asyncio.to_thread(api_server.kubectl, "annotate", f"{kind}/{name}", change)

            for name in ("acme", "globex"):
                await annotate("tenants.voicehelper.io", name, "voicehelper.io/paused=true")
                item = await until(world, TENANT, name, lambda item: condition(item, "Paused"))
                assert condition(item, "Paused")["reason"] == "Annotated"
            cell = await until(world, CELL, "globex", lambda item: condition(item, "Paused"))
            assert condition(cell, "Paused")["reason"] == "TenantPaused"
            tenant_id = item["status"]["tenantId"]
            lost = world.folder / "postgres" / cell["status"]["cellId"] / f"tenant-{tenant_id}"
            lost.unlink()
            await asyncio.gather(world.delete("acme"), world.delete("globex"))
            for name in ("acme", "globex"):
                item = await until(
                    world, TENANT, name, lambda item: "deletion waits" in condition(item, "Paused")["message"]
                )
                assert condition(item, "Routable")["status"] == "True"
            item = await until(world, TENANT, "globex", lambda item: condition(item, "Ready")["status"] == "False")
            assert condition(item, "Ready")["reason"] == "SliceFailed"  # what is seen is said
            await settled_but_for(api, 5)
            assert not lost.exists()
            for name in ("acme", "globex"):
                await annotate("tenants.voicehelper.io", name, "voicehelper.io/paused-")
            await world.until_done(set())
            await settled(world, api)


async def settled_but_for(api, seconds):
    """Nothing is written, but what is lost stays lost."""
    count = len(api.told())
    await asyncio.sleep(seconds)
    assert len(api.told()) == count
