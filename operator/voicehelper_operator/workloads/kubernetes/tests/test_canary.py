"""A release beside the one that serves, against a real API server: it comes, is kept as it should be, and goes.

No node is there: pods stay pending, and what they would say is written by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest
from voicehelper_core import errors
from voicehelper_core.kubernetes_api import kinds as k

from voicehelper_operator.workloads.interface import workload_name
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.objects import MADE
from voicehelper_operator.workloads.kubernetes.tests.harness import pretend_ready, until

pytestmark = pytest.mark.integration
CANARY = "canary"


def next_of(spec):
    return replace(spec, release="r2", config={**spec.config, "release": "r2"})


@pytest.fixture
async def trying(api, running, spec):
    """What serves, which answers, with another release beside it."""
    await running.runtime.ensure(spec)
    await pretend_ready(api, spec)
    trying = replace(spec, tried=next_of(spec))
    await running.runtime.ensure(trying)
    return trying


async def made(api, spec):
    """What there is of what was tried, by kind."""
    found = set()
    for kind in MADE:
        if kind is not k.NAMESPACE:
            items, _ = await api.list(kind, naming.namespace(spec.cell_id))
            found |= {kind.name for item in items if item["metadata"]["name"] == CANARY}
    return found


async def pods_that_fit(api, spec):
    found = await api.get(k.RESOURCE_QUOTA, "voicehelper-cell", naming.namespace(spec.cell_id))
    return int(found["spec"]["hard"]["pods"])


async def ensured(runtime, spec):
    with contextlib.suppress(errors.Unavailable):
        await runtime.ensure(spec)


async def test_what_serves_stays_and_the_other_answers_at_an_address_of_its_own(api, running, spec, trying):
    namespace = naming.namespace(spec.cell_id)
    assert await made(api, spec) == {"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"}
    assert (await api.get(k.DEPLOYMENT, "cell", namespace))["metadata"]["generation"] == 1, "what serves is left alone"
    assert await pods_that_fit(api, spec) == 4
    state = await running.runtime.ensure(trying)
    assert (state.release, state.canary.release, state.canary.ready) == ("r1", "r2", False)
    assert state.canary.http not in ("", state.http)
    assert not state.settled

    async def answers():
        await pretend_ready(api, spec, name=CANARY)
        state = await running.runtime.observe(spec.cell_id)
        return state.canary is not None and state.canary.ready

    running.changed.clear()
    await until(answers)
    assert workload_name(spec.cell_id) in running.changed


async def test_it_stays_while_it_takes_its_place_and_goes_when_told(api, running, spec, trying):
    namespace, after = naming.namespace(spec.cell_id), next_of(spec)
    before = await api.get(k.DEPLOYMENT, CANARY, namespace)
    state = await running.runtime.ensure(replace(after, leaving=after))
    assert (state.release, state.rolled, state.canary.release) == ("r2", False, "r2")
    assert (await api.get(k.DEPLOYMENT, CANARY, namespace))["metadata"]["generation"] == before["metadata"][
        "generation"
    ]

    async def rolled():
        await pretend_ready(api, spec)
        state = await running.runtime.observe(spec.cell_id)
        return state.rolled and not state.settled

    await until(rolled)
    await running.runtime.ensure(after)

    async def gone():
        await ensured(running.runtime, after)
        await pretend_ready(api, spec)
        return not await made(api, spec) and await pods_that_fit(api, spec) == 3

    await until(gone)
    secret = await api.get(k.SECRET, naming.CREDENTIALS, namespace)
    assert set(secret["data"]) == {"config.json"}


async def test_its_walls_and_its_room_stay_until_its_last_pod_has_ended(api, running, spec, trying):
    namespace = naming.namespace(spec.cell_id)
    template = (await api.get(k.DEPLOYMENT, CANARY, namespace))["spec"]["template"]
    meta = {**template["metadata"], "name": "busy", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
    await api.apply({**pod, "metadata": {**meta, "finalizers": ["voicehelper.io/test"]}}, manager="test")
    await api.delete(k.POD, "busy", namespace)  # it leaves, and still runs

    async def dropped():
        await ensured(running.runtime, spec)
        await pretend_ready(api, spec)
        return "Deployment" not in await made(api, spec)

    await until(dropped)
    for _ in range(3):
        await asyncio.sleep(0.3)
        state = await running.runtime.ensure(spec)
    assert await made(api, spec) == {"Service", "NetworkPolicy", "PodDisruptionBudget"}
    assert await pods_that_fit(api, spec) == 4
    assert state.canary is None and not state.settled
    running.changed.clear()
    await api.apply(pod, manager="test")

    async def gone():
        await ensured(running.runtime, spec)
        await pretend_ready(api, spec)
        state = await running.runtime.observe(spec.cell_id)
        return not await made(api, spec) and await pods_that_fit(api, spec) == 3 and state.settled

    await until(gone)
    assert workload_name(spec.cell_id) in running.changed


@pytest.mark.parametrize("kind", [k.SERVICE, k.NETWORK_POLICY, k.DEPLOYMENT, k.POD_DISRUPTION_BUDGET],
                         ids=lambda kind: kind.name)  # fmt: skip
async def test_drift_is_news_and_is_repaired(api, running, spec, trying, kind):
    await asyncio.sleep(0.5)
    running.changed.clear()
    await api.delete(kind, CANARY, naming.namespace(spec.cell_id))

    async def noticed():
        return workload_name(spec.cell_id) in running.changed

    async def repaired():
        await ensured(running.runtime, trying)
        return kind.name in await made(api, spec)

    await until(noticed)
    await until(repaired)


async def test_asleep_nothing_of_it_is_left(api, running, spec, trying):
    async def asleep():
        return await running.runtime.sleep(spec) and not await made(api, spec)

    await until(asleep)
    assert await running.runtime.observe(spec.cell_id) is None
