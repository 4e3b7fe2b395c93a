"""Nobody writes without the lease."""

from __future__ import annotations

import asyncio
import time

import pytest
from voicehelper_core import errors

from voicehelper_operator.engine.loop import Result, Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.leadership import LeadersSecrets, Leading, lead
from voicehelper_operator.tests.engine_harness import end
from voicehelper_operator.tests.world import World


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
    await end(worker)


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
    await end(task)


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
    await end(worker)
