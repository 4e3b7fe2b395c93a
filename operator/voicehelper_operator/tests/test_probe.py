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


async def test_what_is_tried_is_asked_for_by_name():
    asked = []

    def answer(request):
        asked.append(request.headers.get("x-canary"))
        release = "r2" if asked[-1] else "r1"
        return httpx.Response(200, json={"tenant_id": "t00000000001", "cell_id": "c00000000001", "release": release})

    prober = RoutedProber("http://router", MemoryIdentity())
    await prober.close()
    prober._http = httpx.AsyncClient(base_url="http://router", transport=httpx.MockTransport(answer))
    who = "acme", "t00000000001", "c00000000001"
    assert await prober.probe(*who) is None
    assert await prober.probe(*who, canary="r2") is None
    assert await prober.probe(*who, canary="r3") == "release r2 answered"
    assert asked == [None, "true", "true"]
    await prober.close()
