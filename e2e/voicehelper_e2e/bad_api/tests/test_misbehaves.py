"""The operator comes to the same result whatever the API server does meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from voicehelper_e2e.bad_api.process import operator
from voicehelper_e2e.bad_api.proxy import bad_api
from voicehelper_e2e.bad_api.schedule import Schedule

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
SHARED = [f"s-{number:02d}" for number in range(14)]
OWN = [f"d-{number:02d}" for number in range(6)]


async def live(world):
    """Create twenty, change and delete some; the names of those that stay."""
    await asyncio.gather(*(world.create(name) for name in SHARED), *(world.create(n, "enterprise") for n in OWN))
    await asyncio.sleep(2)
    await asyncio.gather(
        *(world.change(name, displayName="Changed") for name in (*SHARED[:4], OWN[0])),
        world.change(SHARED[4], suspended=True),
        *(world.delete(name) for name in (*SHARED[10:], *OWN[4:])),
    )
    await asyncio.sleep(1)
    await world.change(SHARED[4], suspended=False)
    await world.create(SHARED[10] + "b")
    return {*SHARED[:10], SHARED[10] + "b", *OWN[:4]}


async def settled(world, *apis, seconds=5.0):
    """Two resyncs in which nothing is written come soon."""
    for last in (False, False, False, True):
        await asyncio.sleep(1)
        since = time.monotonic()
        await asyncio.sleep(seconds)
        written = [write for bad in apis for write in bad.told(since)]
        assert not (written and last), written
        if not written:
            break
    await world.check()


@pytest.mark.parametrize("seed", [1, 2])
async def test_all_converges_while_the_api_server_misbehaves(api_server, world, tmp_path, seed):
    schedule = Schedule(seed, 0.15)
    async with bad_api(api_server, schedule, tmp_path) as bad:
        with operator(bad.kubeconfig, tmp_path / "one", world.folder) as one:
            world.operators = [one]
            await world.prepare()
            stay = await live(world)
            await asyncio.sleep(8)
            one.expect()
            assert schedule.done.total() > 20, schedule.done
            bad.calm()
            await world.until_done(stay)
            assert one.deaths == 0
            await settled(world, bad)


async def test_the_api_server_is_killed_and_comes_back(api_server, world, tmp_path):
    async with bad_api(api_server, Schedule(3, 0.02), tmp_path) as bad:
        with operator(bad.kubeconfig, tmp_path / "one", world.folder) as one:
            world.operators = [one]
            await world.prepare()
            await asyncio.gather(*(world.create(n) for n in SHARED), *(world.create(n, "enterprise") for n in OWN))
            await asyncio.sleep(1)
            await asyncio.gather(*(world.delete(name) for name in (*SHARED[:3], OWN[0])))
            for pid in api_server.pids.values():
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(2)
            await asyncio.to_thread(api_server.stop)
            await asyncio.to_thread(api_server.start)
            await world.until_done({*SHARED[3:], *OWN[1:]})
            assert one.deaths == 0
            bad.calm()
            await settled(world, bad)
