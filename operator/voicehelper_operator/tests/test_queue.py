"""The work queue: once at a time, never lost, backed off."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicehelper_operator.engine.loop import Result, Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.leadership import Leading


async def test_a_key_added_while_it_runs_runs_once_more():
    queue = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)


async def test_failures_back_off_and_a_success_forgets_them():
    queue = WorkQueue(base=0.01, cap=0.05)
    pauses = []
    for _ in range(6):
        queue.add("a")
        await queue.get()
        pauses.append(queue.failed("a"))
    assert pauses[0] < 0.0125
    assert all(pause <= 0.06 for pause in pauses)
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    queue.done("a")
    queue.add("a")
    await queue.get()
    assert queue.failed("a") < 0.0125


async def test_the_earlier_wish_holds():
    queue = WorkQueue()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    assert await asyncio.wait_for(queue.get(), 1) == "a"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
async def test_every_addition_is_followed_by_a_run_and_no_key_runs_twice_at_once(steps):
    queue = WorkQueue(base=0.0005, cap=0.001)
    seen: dict[str, int] = {}
    added: dict[str, int] = {}
    running: set[str] = set()

    class Recorder:
        kind = "Test"

        async def reconcile(self, name: str) -> Result:
            assert name not in running
            running.add(name)
            seen[name] = added.get(name, 0)
            await asyncio.sleep(0)
            running.discard(name)
            if fail.pop(name, False):
                raise RuntimeError("once")
            return Result()

    fail: dict[str, bool] = {}
    leading = Leading()
    leading.renewed(time.monotonic(), 60)
    task = asyncio.create_task(Worker(Recorder(), queue, 3, leading).run())
    for key, failing in steps:
        added[key] = added.get(key, 0) + 1
        if failing:
            fail[key] = True
        queue.add(key)
        await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0.002)
        if seen == added and not fail and not running and not len(queue):
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == added


async def test_a_key_may_fail_for_days():
    queue = WorkQueue(base=0.2, cap=30)
    for _ in range(3000):
        pause = queue.failed("a")
    assert 24 <= pause <= 36
