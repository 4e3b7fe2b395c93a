"""The whole way in a running platform: a message is counted once, also when the sink is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

pytestmark = pytest.mark.integration


def until(reached: Callable[[], bool], seconds: float = 90) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if reached():
                return True
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    return reached()


def messages(client: httpx.Client) -> int:
    answer = client.get("/api/v1/usage")
    return int(answer.json()["totals"]["message_count"]) if answer.is_success else -1


def send(client: httpx.Client, conversation: str, text: str) -> None:
    client.post(f"/api/v1/conversations/{conversation}/messages", json={"content": text}).raise_for_status()


def pid_of(platform: Any, name: str) -> int:
    components = json.loads(platform.cli("status", "--json").stdout)["components"]
    return int(next(item["pid"] for item in components if item["name"] == name))


def test_messages_are_counted_once_although_the_sink_is_killed(platform: Any) -> None:
    with platform.client("globex") as client:
        assert until(lambda: messages(client) >= 0)
        before = messages(client)
        conversation = client.post("/api/v1/conversations", json={"title": "Counting"}).json()["id"]
        for number in range(5):
            send(client, conversation, f"Question {number}?")
            if number in (1, 3):
                pid = pid_of(platform, "analytics")
                if psutil.pid_exists(pid):
                    os.kill(pid, signal.SIGKILL)
        assert until(lambda: messages(client) >= before + 10)
        time.sleep(1)  # what would be counted twice has come by now
        assert messages(client) == before + 10


def test_usage_is_the_tenants_own(platform: Any) -> None:
    ids = {}
    for tenant in ("acme", "globex"):
        with platform.client(tenant) as client:
            assert until(lambda client=client: messages(client) >= 0)  # type: ignore[misc]
            ids[tenant] = client.get("/api/v1/usage").json()["tenant_id"]
    assert ids == {name: platform.resource("tenant", name)["status"]["tenantId"] for name in ids}


@pytest.mark.parametrize(
    "query", ["from=yesterday", "limit=-1", "limit=100000", "cursor=%00", "from=2000-01-01T00:00Z"]
)
def test_wrong_questions_are_refused(platform: Any, query: str) -> None:
    with platform.client("acme") as client:
        answer = client.get(f"/api/v1/usage?{query}")
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("application/problem+json")
