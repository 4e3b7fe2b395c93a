"""What a probe through the router says."""

from __future__ import annotations

import httpx

from voicehelper_operator.probe import RoutedProber
from voicehelper_operator.tests.memory_identity import MemoryIdentity


async def test_the_same_failure_of_the_probe_reads_the_same_every_time():
    count = 0

    def answer(request):
        nonlocal count
        count += 1
        body = {"title": "Not allowed", "detail": "the tenant is not placed here", "trace_id": f"trace-{count}"}
        return httpx.Response(503, json=body)

    prober = RoutedProber("http://router", MemoryIdentity())
    await prober.close()
    prober._http = httpx.AsyncClient(base_url="http://router", transport=httpx.MockTransport(answer))
    first = await prober.probe("acme", "t00000000001", "c00000000001")
    assert first == await prober.probe("acme", "t00000000001", "c00000000001")
    assert "not placed here" in first
    await prober.close()
