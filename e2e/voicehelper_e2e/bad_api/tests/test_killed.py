"""kill -9 at every fault point of reconciling that stores of files can reach; it is begun again at once."""

from __future__ import annotations

import asyncio

import pytest
from voicehelper_core import faults
from voicehelper_core.fault_points import STEPS
from voicehelper_e2e.bad_api.process import operator
from voicehelper_e2e.bad_api.proxy import bad_api
from voicehelper_e2e.bad_api.schedule import Schedule
from voicehelper_e2e.bad_api.tests.test_misbehaves import settled
from voicehelper_e2e.bad_api.world import TENANT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
COMING = [
    point
    for step in STEPS
    if step.name.startswith("operator.") and step.reached in ("tenant", "cell")
    for point in step.points
]
GOING = [
    point
    for step in STEPS
    if step.name.startswith("operator.") and step.reached in ("tenant-end", "cell-end")
    for point in step.points
]
"""Those of archives and restores need the stores themselves: ``make chaos`` strikes there."""
NAMES = {"s-1": "team", "s-2": "team", "d-1": "enterprise", "d-2": "enterprise"}
LATER = {"d-3": "enterprise", "s-3": "team"}


async def struck(one, points, seconds):
    async with asyncio.timeout(seconds):
        while left := [point for point in points if (one.faults / point).exists()]:
            one.expect()
            await asyncio.sleep(0.1)
    assert left == []


async def test_all_comes_to_the_same_result_wherever_the_operator_dies(api_server, world, tmp_path):
    async with bad_api(api_server, Schedule(1, 0.0), tmp_path) as api:
        with operator(api.kubeconfig, tmp_path / "one", world.folder) as one:
            world.operators = [one]
            for point in COMING:
                faults.arm(one.faults, point)
            await world.prepare(cells=1)
            await asyncio.gather(*(world.create(name, plan) for name, plan in NAMES.items()))
            await world.until_done(NAMES, 60)
            for name, plan in LATER.items():  # to points that others died before
                await world.create(name, plan)
                await world.until_done({item["metadata"]["name"] for item in (await world.api.list(TENANT))[0]})
            await struck(one, COMING, 10)
            assert one.deaths == len(COMING)
            await settled(world, api)
            for point in GOING:
                faults.arm(one.faults, point)
            await asyncio.gather(world.delete("s-1"), world.delete("d-1"))
            await world.until_done({"s-2", "s-3", "d-2", "d-3"})
            await asyncio.gather(world.delete("s-2"), world.delete("d-2"))
            await struck(one, GOING, 30)
            await world.until_done({"s-3", "d-3"})
            assert one.deaths == len(COMING) + len(GOING)
            await settled(world, api)
