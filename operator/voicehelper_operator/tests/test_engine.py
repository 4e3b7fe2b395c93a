"""Waiting with back-off, and what others wrote meanwhile."""

from __future__ import annotations

import asyncio
import time

import pytest
from voicehelper_core import errors
from voicehelper_crds import Cell, Tenant

from voicehelper_operator.engine.loop import Result, Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.leadership import Leading
from voicehelper_operator.tests.engine_harness import end, one_tenant_in_a_shared_cell
from voicehelper_operator.tests.world import World


async def test_what_is_not_there_yet_is_looked_at_again_with_back_off():
    runs, done, leading, queue = [], asyncio.Event(), Leading(), WorkQueue(base=0.001, cap=0.01)
    leading.renewed(time.monotonic(), 60)

    class Waiting:
        kind = "Test"

        async def reconcile(self, name):
            runs.append(name)
            if len(runs) == 4:
                done.set()
            return Result(again=len(runs) < 4)

    worker = asyncio.create_task(Worker(Waiting(), queue, 1, leading).run())
    queue.add("a")
    await asyncio.wait_for(done.wait(), 5)
    await asyncio.sleep(0.05)
    assert runs == ["a"] * 4
    await end(worker)


async def test_the_back_off_starts_anew_when_something_came_nearer():
    pauses, done, leading = [], asyncio.Event(), Leading()
    results = [Result(again=True)] * 4 + [Result(again=True, progress=True), Result()]
    leading.renewed(time.monotonic(), 60)

    class Noting(WorkQueue):
        def failed(self, key):
            pauses.append(super().failed(key))
            return pauses[-1]

    class Nearing:
        kind = "Test"

        async def reconcile(self, name):
            result = results.pop(0)
            if not results:
                done.set()
            return result

    queue = Noting(base=0.001, cap=1)
    worker = asyncio.create_task(Worker(Nearing(), queue, 1, leading).run())
    queue.add("a")
    await asyncio.wait_for(done.wait(), 5)
    assert pauses[3] > pauses[0] * 4
    assert pauses[4] < pauses[1]
    await end(worker)


async def test_a_tenant_whose_cell_came_up_is_probed_without_the_back_off_of_its_wait(monkeypatch):
    world, answers = World(), ["the router answers 503", None]

    async def probe(name, tenant_id, cell_id, *, patience: float = 0):
        return answers.pop(0) if answers else None

    monkeypatch.setattr(world, "probe", probe)
    world.runtime.ready = False
    await one_tenant_in_a_shared_cell(world)
    for _ in range(10):
        await world.pass_once()
    waiting = await world.tenants.reconcile("acme")
    assert (waiting.again, waiting.progress) == (True, False)
    world.runtime.ready = True
    started = await world.cells.reconcile("shared-1")
    assert started.progress
    first = await world.tenants.reconcile("acme")
    assert (first.again, first.progress) == (True, True)
    assert not (await world.tenants.reconcile("acme")).again


@pytest.mark.parametrize("kind", ["cells", "tenants"])
async def test_a_status_that_others_wrote_meanwhile_is_not_overwritten(kind, monkeypatch):
    """Two operators for a moment, or a watch that is behind: ids and places stay."""
    world = World()
    await one_tenant_in_a_shared_cell(world)
    model, name = (Cell, "shared-1") if kind == "cells" else (Tenant, "acme")
    old = await world.store.get(model, name)
    await world.settle()
    now, get = await world.store.get(model, name), world.store.get
    old.status.cell_id, old.metadata.finalizers = now.status.cell_id, now.metadata.finalizers
    if model is Tenant:
        old.status.tenant_id, old.status.cell, old.status.cell_id = now.status.tenant_id, "shared-1", None

    async def stale(wanted, wanted_name):
        return old.model_copy(deep=True) if (wanted, wanted_name) == (model, name) else await get(wanted, wanted_name)

    monkeypatch.setattr(world.store, "get", stale)
    update = world.store.update_status

    async def compared(*arguments, resource_version=None):
        assert resource_version == old.metadata.resource_version
        monkeypatch.undo()
        return await update(*arguments, resource_version=resource_version)

    monkeypatch.setattr(world.store, "update_status", compared)
    with pytest.raises(errors.Conflict):
        await getattr(world, kind).reconcile(name)
    assert (await world.store.get(model, name)).status == now.status
