"""Events and leases in a real API server."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from voicehelper_core import kubernetes_api

pytestmark = pytest.mark.integration


async def test_events(api, api_server, kubernetes_store, tenant):
    recorder, resource = kubernetes_api.KubernetesEventRecorder(api), await kubernetes_store.apply(tenant())
    for _ in range(3):
        await recorder.record(resource, "Drift", "a topic\0 was gone", warning=True)
    await recorder.record(resource, "Placed", "in cell one")
    first, second = await recorder.events("Tenant", "acme")
    assert (first.count, first.type, first.reason, first.message) == (3, "Warning", "Drift", "a topic was gone")
    assert (second.count, second.type, second.reason) == (1, "Normal", "Placed")
    assert await recorder.events("Tenant", "other") == []
    assert "a topic was gone" in api_server.kubectl("describe", "tenant", "acme")
    await recorder.close()
    await recorder.record(resource, "Placed", "in cell two")  # begins anew
    assert len(await recorder.events("Tenant", "acme")) == 3
    await recorder.close()


async def test_a_lease_has_one_holder(api):
    leases, seconds = [kubernetes_api.KubernetesLease(api, "default") for _ in range(5)], timedelta(seconds=2)
    took = await asyncio.gather(*(lease.acquire("operator", f"h{i}", seconds) for i, lease in enumerate(leases)))
    assert took.count(True) == 1
    index = took.index(True)
    late = leases[index - 1]
    assert await leases[index].acquire("operator", f"h{index}", seconds)
    assert not await late.acquire("operator", "late", seconds)
    await late.release("operator", "late")
    assert not await late.acquire("operator", "late", seconds)
    await asyncio.sleep(2.1)  # the holder is silent for longer than the lease lasts
    assert await late.acquire("operator", "late", seconds)
    assert not await leases[index].acquire("operator", f"h{index}", seconds)
    await late.release("operator", "late")
    assert await leases[index].acquire("operator", f"h{index}", seconds)
