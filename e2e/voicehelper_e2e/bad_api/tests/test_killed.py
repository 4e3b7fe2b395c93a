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
NAMES = {"s-1": "team", "s-2": "team", "d-1": "enterprise"}
LATER = {"d-2": "enterprise", "s-3": "team"}


async def struck(one, points, seconds):
    async with asyncio.timeout(seconds):
        while left := [point for point in points if (one.faults / point).exists()]:
            one.expect()
            await asyncio.sleep(0.1)
    assert left == []


@pytest.fixture
async def alone(api_server, world, tmp_path):
    """One operator, on an API server that behaves."""
    async with bad_api(api_server, Schedule(1, 0.0), tmp_path) as api:
        with operator(api.kubeconfig, tmp_path / "one", world.folder) as one:
            world.operators = [one]
            yield one, api


async def there(world):
    return {item["metadata"]["name"] for item in (await world.api.list(TENANT))[0]}


async def test_all_comes_to_the_same_result_wherever_the_operator_dies_while_tenants_come(world, alone):
    one, api = alone
    for point in COMING:
        faults.arm(one.faults, point)
    await world.prepare(cells=1)
    await asyncio.gather(*(world.create(name, plan) for name, plan in NAMES.items()))
    await world.until_done(NAMES)
    for name, plan in LATER.items():  # to points that others died before
        await world.create(name, plan)
        await world.until_done(await there(world))
    await struck(one, COMING, 10)
    assert one.deaths == len(COMING)
    await settled(world, api)


async def test_all_comes_to_the_same_result_wherever_the_operator_dies_while_tenants_go(world, alone):
    """Each death also forgets the pause between the end of a tenant's access and that of its data."""
    one, api = alone
    await world.prepare(cells=1)
    every = {**NAMES, **LATER}
    await asyncio.gather(*(world.create(name, plan) for name, plan in every.items()))
    await world.until_done(every)
    for point in GOING:
        faults.arm(one.faults, point)
    await asyncio.gather(*map(world.delete, NAMES))
    await world.until_done(LATER)
    for name in LATER:
        await world.delete(name)
        await world.until_done(await there(world) - {name})
    await struck(one, GOING, 1)
    assert one.deaths == len(GOING)
    await settled(world, api)
