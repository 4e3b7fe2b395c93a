"""Leading, waiting and routing of changes."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from prometheus_client import REGISTRY
from voicehelper_core import errors
from voicehelper_core.ports import Change
from voicehelper_crds import PAUSED, Cell, Tenant
from voicehelper_crds.validation import validate

from voicehelper_operator.engine.loop import Result, Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.leadership import LeadersSecrets, Leading, lead
from voicehelper_operator.probe import RoutedProber
from voicehelper_operator.routing import Router
from voicehelper_operator.tests.memory_identity import MemoryIdentity
from voicehelper_operator.tests.world import World

API = "voicehelper.io/v1alpha1"


async def _end(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_losing_the_lease_stops_a_reconcile_that_runs():
    stopped, started, leading, queue = asyncio.Event(), asyncio.Event(), Leading(), WorkQueue()

    class Endless:
        kind = "Test"

        async def reconcile(self, name):
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

    leading.renewed(time.monotonic(), 60)
    worker = asyncio.create_task(Worker(Endless(), queue, 1, leading).run())
    queue.add("a")
    await asyncio.wait_for(started.wait(), 5)
    leading.clear()
    await asyncio.wait_for(stopped.wait(), 5)
    started.clear()
    await asyncio.sleep(0.5)
    assert not started.is_set()  # not before it leads again
    leading.renewed(time.monotonic(), 60)
    await asyncio.wait_for(started.wait(), 5)
    await _end(worker)


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
    await _end(worker)


async def test_a_lease_that_cannot_be_renewed_in_time_is_lost():
    leading, answers = Leading(), asyncio.Event()

    class Slow:
        calls = 0

        async def acquire(self, name, holder, duration):
            Slow.calls += 1
            if Slow.calls > 1:
                await answers.wait()
            return True

        async def release(self, name, holder):
            pass

    task = asyncio.create_task(lead(Slow(), "me", 1, leading))
    await asyncio.wait_for(leading.wait(), 5)
    while leading.is_set():
        await asyncio.sleep(0.01)
    answers.set()
    await asyncio.wait_for(leading.wait(), 5)
    await _end(task)


def _cell(generation=1, **status):
    made = validate({"apiVersion": API, "kind": "Cell", "metadata": {"name": "c1"}, "spec": {}})
    made.metadata.uid, made.metadata.generation = "uid-c1", generation
    made.status = made.status.model_copy(update=status)
    return Change("applied", "Cell", "c1", made)


def _tenant(generation=1, **status):
    spec = {"planRef": "team", "admin": {"email": "a@b.example"}}
    made = validate({"apiVersion": API, "kind": "Tenant", "metadata": {"name": "t1"}, "spec": spec})
    made.metadata.uid, made.metadata.generation = "uid-t1", generation
    made.status = made.status.model_copy(update=status)
    return Change("applied", "Tenant", "t1", made)


async def _taken(queue):
    keys = []
    while len(queue):
        keys.append(await queue.get())
        queue.done(keys[-1])
    return keys


async def _later(queue):
    key = await queue.get()
    queue.done(key)
    return key


async def test_a_status_wakes_those_who_depend_on_it_and_not_its_writer():
    cells, tenants = WorkQueue(), WorkQueue()
    router = Router(cells, tenants)
    for change in (_cell(), _tenant()):
        router.route(change)
    assert (await _taken(cells), await _taken(tenants)) == (["c1"], ["t1"])
    router.route(_tenant(phase="Pending"))
    assert (await _taken(cells), await _taken(tenants)) == ([], [])
    router.route(_tenant(cell="c1"))
    assert (await _taken(cells), await _taken(tenants)) == ([], [])
    assert await _later(cells) == "c1"  # which counts its tenants
    router.route(_cell(phase="Ready"))
    assert (await _taken(cells), await _taken(tenants)) == ([], ["t1"])
    router.route(_tenant(2, cell="c1"))
    assert (await _taken(cells), await _taken(tenants)) == ([], ["t1"])
    router.repaired("c1")
    assert (await _taken(cells), await _taken(tenants)) == ([], ["t1"])
    router.route(Change("deleted", "Tenant", "t1", None))
    assert (await _taken(cells), await _taken(tenants)) == ([], [])
    assert await _later(cells) == "c1"
    router.route(_tenant())  # another one of that name
    assert (await _taken(cells), await _taken(tenants)) == (["c1"] * 0, ["t1"])
    resting = _cell(phase="Ready")
    resting.resource.metadata.annotations = {PAUSED: "true"}
    router.route(_tenant(cell="c1"))
    router.route(resting)
    assert (await _taken(cells), await _taken(tenants)) == (["c1"], ["t1"])
    resting = _tenant(cell="c1")
    resting.resource.metadata.annotations = {PAUSED: "true"}
    router.route(resting)
    assert (await _taken(cells), await _taken(tenants)) == (["c1"] * 0, ["t1"])


async def test_the_same_failure_of_the_probe_reads_the_same_every_time():
    count = 0

    def answer(request):
        nonlocal count
        count += 1
        body = {"title": "Not allowed", "detail": "the tenant is not placed here", "trace_id": f"trace-{count}"}
        return httpx.Response(503, json=body)

    prober = RoutedProber("http://router", MemoryIdentity())
    await prober.close()
    prober._http = httpx.AsyncClient(base_url="http://router", transport=httpx.MockTransport(answer))
    first = await prober.probe("acme", "t00000000001", "c00000000001")
    assert first == await prober.probe("acme", "t00000000001", "c00000000001")
    assert "not placed here" in first
    await prober.close()


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
    await _end(worker)


async def _one_tenant_in_a_shared_cell(world):
    for kind, name, spec in (
        ("CellClass", "standard", {}),
        ("TenantPlan", "team", {"isolation": "shared"}),
        ("Cell", "shared-1", {}),
        ("Tenant", "acme", {"planRef": "team", "admin": {"email": "admin@acme.example"}}),
    ):
        await world.store.apply({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec})


async def test_a_tenant_whose_cell_came_up_is_probed_without_the_back_off_of_its_wait(monkeypatch):
    world, answers = World(), ["the router answers 503", None]

    async def probe(name, tenant_id, cell_id, *, patience: float = 0):
        return answers.pop(0) if answers else None

    monkeypatch.setattr(world, "probe", probe)
    world.runtime.ready = False
    await _one_tenant_in_a_shared_cell(world)
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


def _value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_metrics_tell_each_step_and_the_class_of_what_went_wrong():
    world = World()
    await _one_tenant_in_a_shared_cell(world)

    def steps(kind, step, result):
        return _value("reconcile_steps_total", kind=kind, step=step, result=result)

    wanted = [("Cell", step, "ok") for step in ("finalizer", "identify", "slices", "migrate", "workload", "status")]
    wanted += [("Tenant", s, "ok") for s in ("finalizer", "identify", "place", "slices", "identity", "probe", "status")]
    wanted += [("Tenant", "slices", "again"), ("Tenant", "identity", "Unavailable")]
    before = {key: steps(*key) for key in wanted}
    refused = _value("store_errors_total", store="milvus", error="RuntimeError")
    await world.settle()
    world.identity.broken = "identity is away"
    world.slices[2].broken = "no route to milvus"
    await world.tenants.reconcile("acme")
    assert [key for key in wanted if steps(*key) <= before[key]] == []
    assert _value("store_errors_total", store="milvus", error="RuntimeError") == refused + 1
    assert _value("reconcile_step_duration_seconds_count", kind="Cell", step="migrate") > 0


async def test_metrics_of_the_queue_and_of_errors_are_those_of_now():
    leading, queue, done = Leading(), WorkQueue(base=60, cap=60), asyncio.Event()

    class Broken:
        kind = "Metered"

        async def reconcile(self, name):
            if name == "b":
                done.set()
                return Result()
            raise ZeroDivisionError

    worker = asyncio.create_task(Worker(Broken(), queue, 1, leading).run())
    for key in ("a", "b"):
        queue.add(key)
    assert _value("reconcile_queue_depth", kind="Metered") == 2
    leading.renewed(time.monotonic(), 60)
    await asyncio.wait_for(done.wait(), 5)
    assert _value("reconcile_queue_depth", kind="Metered") == 0
    assert _value("reconcile_errors_total", kind="Metered", error="ZeroDivisionError") == 1
    await _end(worker)


async def test_a_lease_runs_out_by_the_clock_although_nobody_said_so():
    """As in a process that was frozen: it must not write before it has asked for the lease again."""
    leading, world = Leading(), World()
    secrets = LeadersSecrets(world.secrets, leading)
    leading.renewed(time.monotonic(), 60)
    await secrets.put("a", {"b": "c"})
    leading.renewed(time.monotonic() - 61, 60)
    assert leading.is_set()
    for write in (secrets.put("a", {}), secrets.delete("a")):
        with pytest.raises(errors.Unavailable, match="lease"):
            await write
    assert await secrets.get("a") == {"b": "c"}
    ran, queue = [], WorkQueue(base=0.01, cap=0.01)

    class Noting:
        kind = "Test"

        async def reconcile(self, name):
            ran.append(name)
            return Result()

    worker = asyncio.create_task(Worker(Noting(), queue, 1, leading).run())
    queue.add("a")
    await asyncio.sleep(0.1)
    assert ran == []
    leading.renewed(time.monotonic(), 60)
    async with asyncio.timeout(5):
        while not ran:
            await asyncio.sleep(0.01)
    await _end(worker)


@pytest.mark.parametrize("kind", ["cells", "tenants"])
async def test_a_status_that_others_wrote_meanwhile_is_not_overwritten(kind, monkeypatch):
    """Two operators for a moment, or a watch that is behind: ids and places stay."""
    world = World()
    await _one_tenant_in_a_shared_cell(world)
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
