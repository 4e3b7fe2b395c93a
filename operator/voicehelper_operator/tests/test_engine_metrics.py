"""What the engine's metrics tell."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import REGISTRY

from voicehelper_operator.engine.loop import Result, Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.leadership import Leading
from voicehelper_operator.tests.engine_harness import end, one_tenant_in_a_shared_cell
from voicehelper_operator.tests.world import World


def _value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_metrics_tell_each_step_and_the_class_of_what_went_wrong():
    world = World()
    await one_tenant_in_a_shared_cell(world)

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
    await end(worker)
