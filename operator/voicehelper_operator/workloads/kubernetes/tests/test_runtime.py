"""The runtime against a real API server: no node, so pods stay pending, and what they would say is written by hand."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest
from voicehelper_core import errors
from voicehelper_core.kubernetes_api import kinds as k

from voicehelper_operator.workloads.interface import Size, WorkloadSpec, workload_name
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.tests.harness import Running, pretend_ready, until

pytestmark = pytest.mark.integration


async def versions(api, spec):
    namespace = naming.namespace(spec.cell_id)
    found = {}
    for kind in (k.SERVICE_ACCOUNT, k.RESOURCE_QUOTA, k.NETWORK_POLICY, k.SERVICE, k.POD_DISRUPTION_BUDGET, k.SECRET):
        for item in (await api.list(kind, namespace))[0]:
            if kind is not k.RESOURCE_QUOTA:  # its controller counts
                found[kind.name, item["metadata"]["name"]] = item["metadata"]["resourceVersion"]
    return found


async def test_made_once_and_written_no_more(api, running, spec):
    state = await running.runtime.ensure(spec)
    assert not state.ready
    assert state.http.endswith(":8080")
    assert (await api.get(k.NAMESPACE, naming.namespace(spec.cell_id)))["metadata"]["labels"][
        "pod-security.kubernetes.io/enforce"
    ] == "restricted"
    before = await versions(api, spec)
    again = Running(api)  # an operator that has just started
    await again.runtime.ensure(spec)
    await running.runtime.ensure(spec)
    await again.end()
    assert await versions(api, spec) == before


async def test_a_quota_shrinks_once_nothing_larger_runs(api, running, spec):
    """A rolling update makes a new pod first, for which the smaller quota has no room beside the old one."""

    async def memory():
        found = await api.get(k.RESOURCE_QUOTA, "voicehelper-cell", naming.namespace(spec.cell_id))
        return found["spec"]["hard"]["limits.memory"]

    large, small = (replace(spec, size=replace(spec.size, memory=memory)) for memory in ("8Gi", "1Gi"))
    await running.runtime.ensure(large)
    await pretend_ready(api, large, large.size.replicas)
    before = await memory()
    await asyncio.sleep(0.5)
    await running.runtime.ensure(small)
    assert await memory() == before
    await asyncio.sleep(0.5)
    running.changed.clear()
    await pretend_ready(api, small, small.size.replicas)
    await until(lambda: _is(workload_name(spec.cell_id) in running.changed))
    await running.runtime.ensure(small)
    assert await memory() != before
    await running.runtime.ensure(large)
    assert await memory() == before, "it grows at once"


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        (k.SERVICE, "cell", {"spec": {"selector": {"voicehelper.io/cell": "stranger"}}}),
        (k.NETWORK_POLICY, "default-deny", {"spec": {"podSelector": {"matchLabels": {"nobody": "here"}}}}),
        (k.SECRET, naming.CREDENTIALS, {"data": {"config.json": "e30="}}),
        (k.RESOURCE_QUOTA, "voicehelper-cell", {"spec": {"hard": {"pods": "1000"}}}),
        (k.NETWORK_POLICY, "cell", None),
        (k.SERVICE, "cell", None),
        (k.SECRET, naming.CREDENTIALS, None),
        (k.DEPLOYMENT, "cell", None),
        (k.POD_DISRUPTION_BUDGET, "cell", None),
        (k.SERVICE_ACCOUNT, naming.ACCOUNT, None),
        (k.LIMIT_RANGE, "voicehelper-cell", None),
    ],
    ids=lambda value: getattr(value, "name", None) or ("deleted" if value is None else None),
)
async def test_drift_is_news_and_is_repaired(api, running, spec, kind, name, change):
    await running.runtime.ensure(spec)
    await pretend_ready(api, spec, spec.size.replicas)
    await asyncio.sleep(0.5)
    running.changed.clear()
    namespace = naming.namespace(spec.cell_id)
    if change is None:
        await api.delete(kind, name, namespace)
    else:
        await api.merge(kind, name, change, namespace=namespace, manager="kubectl-edit")
    await until(lambda: _is(workload_name(spec.cell_id) in running.changed))

    async def repaired():
        with contextlib.suppress(errors.Unavailable, errors.Conflict):
            await running.runtime.ensure(spec)
        with contextlib.suppress(errors.NotFound):
            found = await api.get(kind, name, namespace)
            return change is None or not _holds(change, found)

    await until(repaired)


async def _is(value):
    return value


def _holds(change, found):
    return all(_holds(value, found.get(key, {})) if isinstance(value, dict) else found.get(key) == value
               for key, value in change.items())  # fmt: skip


async def test_a_field_that_others_apply_is_reported_and_left(api, running, spec):
    await running.runtime.ensure(spec)
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cell", "namespace": naming.namespace(spec.cell_id)},
        "spec": {"replicas": 5},
    }
    await api.apply(theirs, manager="people", force=True)

    async def reported():
        try:
            await running.runtime.ensure(spec)
        except errors.Conflict as conflict:
            return "people" in conflict.detail and conflict.extra["fields"] == [".spec.replicas"]
        return False

    await until(reported)
    assert await reported()
    assert (await api.get(k.DEPLOYMENT, "cell", naming.namespace(spec.cell_id)))["spec"]["replicas"] == 5


async def test_state_follows_what_the_cluster_says(api, running, spec):
    await running.runtime.ensure(spec)
    await pretend_ready(api, spec)

    async def ready():
        state = await running.runtime.observe(spec.cell_id)
        return state is not None and state.ready

    await until(ready)
    assert workload_name(spec.cell_id) in running.changed
    await running.runtime.sleep(spec)
    assert await running.runtime.observe(spec.cell_id) is None
    found = await api.get(k.DEPLOYMENT, "cell", naming.namespace(spec.cell_id))
    assert found["spec"]["replicas"] == 0
    assert (await running.runtime.ensure(spec)).release == "r1"


async def test_a_pod_that_was_told_something_older_is_seen_until_it_has_ended(api, running, spec):
    namespace = naming.namespace(spec.cell_id)

    async def settled(wanted):
        state = await running.runtime.observe(spec.cell_id)
        return state is not None and state.settled is wanted

    await running.runtime.ensure(spec)
    assert not (await running.runtime.ensure(spec)).settled
    await pretend_ready(api, spec)
    await until(lambda: settled(True))
    template = (await api.get(k.DEPLOYMENT, "cell", namespace))["spec"]["template"]
    meta = {**template["metadata"], "name": "old", "namespace": namespace}
    old = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
    await api.apply({**old, "metadata": {**meta, "finalizers": ["voicehelper.io/test"]}}, manager="test")
    changed = replace(spec, config={**spec.config, "password": "two"})
    assert not (await running.runtime.ensure(changed)).settled
    await pretend_ready(api, spec)
    await api.delete(k.POD, "old", namespace)  # it leaves, and still runs
    await asyncio.sleep(0.5)
    assert await settled(False)
    running.changed.clear()
    await api.apply(old, manager="test")
    await until(lambda: settled(True))
    assert await running.runtime.sleep(changed)
    assert workload_name(spec.cell_id) in running.changed


async def test_what_is_not_wanted_any_more_goes(api, running, spec):
    await running.runtime.ensure(spec)
    stray = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "of-an-older-operator",
            "namespace": naming.namespace(spec.cell_id),
            "labels": naming.labels(spec.cell_id, spec.cell),
        },
        "spec": {"ports": [{"port": 1}]},
    }
    await api.apply(stray, manager=naming.MANAGER)

    async def gone():
        await running.runtime.ensure(spec)
        items, _ = await api.list(k.SERVICE, naming.namespace(spec.cell_id))
        return [item["metadata"]["name"] for item in items] == ["cell"]

    await until(gone)


async def test_removal_names_what_is_in_the_way(api, running, spec):
    await running.runtime.ensure(spec)
    namespace = naming.namespace(spec.cell_id)
    await api.merge(k.SERVICE, "cell", {"metadata": {"finalizers": ["x.io/stuck"]}}, namespace=namespace, manager="x")

    async def named():
        told = await running.runtime.remove(spec.cell_id)
        return told and "x.io/stuck" in told

    await until(named, 60)  # the controller of namespaces waits for pods first
    await api.merge(k.SERVICE, "cell", {"metadata": {"finalizers": None}}, namespace=namespace, manager="x")

    async def gone():
        return await running.runtime.remove(spec.cell_id) is None

    await until(gone, 60)
    assert await running.runtime.remove(spec.cell_id) is None


async def test_a_larger_size_is_taken_over(api, running, spec):
    await running.runtime.ensure(spec)
    larger = WorkloadSpec(spec.cell_id, spec.release, spec.config, cell=spec.cell, size=Size("2", "2Gi", 3))
    await running.runtime.ensure(larger)
    found = await api.get(k.DEPLOYMENT, "cell", naming.namespace(spec.cell_id))
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "2Gi"}
