"""What the probe of Kafka Connect does about a connector that failed."""

from __future__ import annotations

import httpx
import pytest
from voicehelper_embedded.components.connect import CONNECTOR, Connect

FOLLOWS, LOST = None, "the replication slot was lost"


class Probed(Connect):
    """Connect whose worker and slot answer what a test says."""

    def __init__(self, state: str, slot: str | None) -> None:
        self.state, self.slot, self.restarts = state, slot, 0

    async def _call(self, method, path, **arguments):
        if path.endswith("status"):
            return httpx.Response(200, json={"connector": {"state": "RUNNING"}, "tasks": [{"state": self.state}]})
        self.restarts += method == "POST"
        return httpx.Response(200, json=[CONNECTOR])

    async def _slot(self):
        return self.slot


@pytest.mark.parametrize("slot", [FOLLOWS, LOST, "it does not follow the log yet"])
async def test_a_failed_connector_starts_again_whoever_reads_the_slot(slot):
    """One that failed never follows the log by itself."""
    connect = Probed("FAILED", slot)
    assert await connect.probe() == (slot or "the connector is running, failed")
    assert connect.restarts == 1


@pytest.mark.parametrize(("slot", "problem"), [(FOLLOWS, None), (LOST, LOST)])
async def test_a_running_connector_is_left_alone(slot, problem):
    connect = Probed("RUNNING", slot)
    assert await connect.probe() == problem
    assert connect.restarts == 0
