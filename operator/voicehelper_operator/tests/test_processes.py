"""What the supervisor is told of a release that is tried beside the one that serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.processes import ProcessRuntime

CELL = "cabcdefghij1"
SERVING, NEXT = WorkloadSpec(CELL, "r1", {"release": "r1"}), WorkloadSpec(CELL, "r2", {"release": "r2"})
STATE = {
    "name": f"cell-{CELL}", "state": "ready", "restarts": 0, "release": "r1", "http": "127.0.0.1:1",
    "grpc": "127.0.0.1:2", "settled": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "spec", "told"),
    [
        (True, replace(SERVING, tried=NEXT), ("r2", True)),
        (False, replace(SERVING, tried=NEXT), ("r1", False)),  # it slept: what serves comes first
        (True, NEXT, ("r2", False)),
        (True, replace(SERVING, leaving=NEXT), ("r1", False)),  # the supervisor looks after what leaves
    ],
)
async def test_what_the_supervisor_is_told(runs: bool, spec: WorkloadSpec, told: tuple[str, bool]):
    put: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            put.append(json.loads(request.content))
        return httpx.Response(200, json=STATE) if runs or put else httpx.Response(404)

    runtime = ProcessRuntime(Path("/nowhere"))
    await runtime.close()
    runtime._http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://supervisor")
    await runtime.ensure(spec)
    await runtime.close()
    (body,) = put
    assert (body["release"], body.get("beside", False)) == told
    assert body["config"]["release"] == told[0]
