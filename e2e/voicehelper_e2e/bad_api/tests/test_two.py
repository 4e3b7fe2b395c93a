"""Two operators: when the leader is killed or frozen the other takes over, and the frozen one writes nothing more."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
from voicehelper_core import errors
from voicehelper_core.kubernetes_api.kinds import LEASE
from voicehelper_e2e.bad_api.process import operator
from voicehelper_e2e.bad_api.proxy import bad_api
from voicehelper_e2e.bad_api.schedule import Schedule
from voicehelper_e2e.bad_api.tests.test_misbehaves import settled

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
LEASE_SECONDS = 3
NAMES = [f"t-{number:02d}" for number in range(20)]


async def holder(world):
    try:
        return (await world.api.get(LEASE, "operator", "default"))["spec"].get("holderIdentity")
    except errors.NotFound:
        return None


async def until_led(world, who, seconds=30):
    async with asyncio.timeout(seconds):
        while await holder(world) != who:
            await asyncio.sleep(0.05)


@pytest.fixture
async def pair(api_server, world, tmp_path):
    """Each speaks to the API server through a proxy of its own; the first one leads."""
    apis = [bad_api(api_server, Schedule(1, 0.0), tmp_path / name) for name in ("one", "two")]
    async with apis[0] as first, apis[1] as second:
        options = {"lease_seconds": LEASE_SECONDS}
        with operator(first.kubeconfig, tmp_path / "one", world.folder, holder="one", **options) as one:
            await until_led(world, "one")
            with operator(second.kubeconfig, tmp_path / "two", world.folder, holder="two", **options) as two:
                world.operators = [one, two]
                await world.prepare()
                yield (one, first), (two, second)


async def test_the_other_takes_over_from_one_that_is_killed(world, pair):
    (one, first), (two, second) = pair
    await asyncio.gather(*map(world.create, NAMES))
    await asyncio.sleep(0.3)
    world.operators = [two]
    one.end()
    await until_led(world, "two")
    await world.until_done(NAMES)
    await settled(world, first, second)


async def test_one_that_was_frozen_writes_nothing_when_it_goes_on(world, pair):
    (one, first), (_, second) = pair
    for delay in (0.4, 0.6):  # somewhere in the middle of its work
        await asyncio.gather(*(world.create(f"{name}-{int(delay * 10)}") for name in NAMES[:9]))
        await asyncio.sleep(delay)
        one.signal(signal.SIGSTOP)
        await until_led(world, "two")
        thawed = time.monotonic()
        one.signal(signal.SIGCONT)
        await asyncio.sleep(2)
        assert first.told(thawed) == []
        assert [write for write in first.writes if write.told and write.at >= thawed] == []
        if delay == 0.4:
            world.operators[1].signal(signal.SIGSTOP)  # and back again
            await until_led(world, "one")
            world.operators[1].signal(signal.SIGCONT)
    await world.until_done({f"{name}-{number}" for name in NAMES[:9] for number in (4, 6)})
    await settled(world, first, second)
