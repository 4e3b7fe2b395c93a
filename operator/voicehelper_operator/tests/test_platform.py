"""Drift and deletion on the real stores."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from voicehelper_core import names

pytestmark = pytest.mark.integration


def until(check: Callable[[], Any], seconds: float = 60) -> Any:
    """What the check returns once it returns something."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.25)
    return found


def kafka(platform: Any) -> Any:
    from confluent_kafka.admin import AdminClient

    return AdminClient(platform.kafka_admin)


def events(platform: Any, kind: str, name: str) -> str:
    return platform.cli("describe", kind, name).stdout


def tenant(platform: Any, name: str, plan: str = "team") -> dict[str, Any]:
    manifest = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {
            "planRef": plan,
            "admin": {"email": f"admin@{name}.example"},
            "deletion": {"policy": "Delete"},
        },
    }
    platform.cli("apply", "-f", "-", stdin=json.dumps(manifest))
    platform.cli("wait", f"tenant/{name}", "--for", "condition=Ready", "--timeout", "90s")
    return platform.resource("tenant", name)


async def test_a_dropped_topic_and_a_revoked_role_come_back_with_an_event(platform):
    cell_id = platform.resource("cell", "globex")["status"]["cellId"]
    topic = names.topic(cell_id, "ai.tasks")
    broker = kafka(platform)  # its futures end with it
    broker.delete_topics([topic])[topic].result(30)
    login, worker = names.login_role(cell_id), names.service_role(cell_id, "conversation")
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        await connection.execute(f"REVOKE {worker} FROM {login}")
        until(lambda: topic in broker.list_topics(timeout=10).topics)
        end = time.monotonic() + 60
        while not await connection.fetchval(f"SELECT pg_has_role('{login}', '{worker}', 'MEMBER')"):
            assert time.monotonic() < end
            time.sleep(0.25)
    finally:
        await connection.close()
    said = until(lambda: "DriftRepaired" in (text := events(platform, "cell", "globex")) and text)
    assert topic in said


def test_a_killed_cell_comes_back_with_an_event(platform):
    cell_id = platform.resource("cell", "globex")["status"]["cellId"]

    def component() -> dict[str, Any]:
        status = json.loads(platform.cli("status", "--json").stdout)
        return next(item for item in status["components"] if item["name"] == f"cell-{cell_id}")

    before = component()
    os.kill(before["pid"], signal.SIGKILL)
    after = until(lambda: (now := component())["state"] == "ready" and now["pid"] != before["pid"] and now)
    assert after["restarts"] == before["restarts"] + 1
    platform.cli("wait", "tenant/globex", "--for", "condition=Ready", "--timeout", "60s")
    until(lambda: "WorkloadRestarted" in events(platform, "cell", "globex"))
    with platform.client("globex") as client:
        assert client.get("/api/v1/conversations").status_code == 200


async def test_deletion_by_policy_leaves_nothing_and_the_name_starts_anew(platform):
    made = tenant(platform, "umbrella", "enterprise")
    tenant_id, cell_id = made["status"]["tenantId"], made["status"]["cellId"]
    with platform.client("umbrella") as client:
        document = {"title": "Secret", "content": "The code is swordfish.", "external_id": "one"}
        assert client.post("/api/v1/knowledge/documents", json=document).status_code == 202
        old_token = client.headers["Authorization"]
    platform.cli("delete", "tenant", "umbrella")
    platform.cli("wait", "tenant/umbrella", "--for", "delete", "--timeout", "60s")
    platform.cli("wait", "cell/umbrella", "--for", "delete", "--timeout", "60s")
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        for query in (
            f"SELECT 1 FROM pg_namespace WHERE nspname LIKE '{cell_id}%'",
            f"SELECT 1 FROM pg_roles WHERE rolname LIKE '{cell_id}%'",
            f"SELECT 1 FROM pg_publication_tables WHERE schemaname LIKE '{cell_id}%'",
            f"SELECT 1 FROM identity.users WHERE tenant_id = '{tenant_id}'",
        ):
            assert await connection.fetchval(query) is None, query
    finally:
        await connection.close()
    assert not [name for name in kafka(platform).list_topics(timeout=10).topics if name.startswith(f"{cell_id}.")]
    assert not (platform.home / "data" / "objects" / cell_id).exists()
    left = [path.name for path in (platform.home / "secrets").iterdir()]
    assert not [name for name in left if cell_id in name or tenant_id in name]
    status = json.loads(platform.cli("status", "--json").stdout)
    assert f"cell-{cell_id}" not in [item["name"] for item in status["components"]]

    again = tenant(platform, "umbrella")
    assert again["status"]["tenantId"] != tenant_id
    with platform.client("umbrella") as client:
        found = client.post("/api/v1/knowledge/search", json={"query": "swordfish"}).json()
        assert found["hits"] == []
        stale = client.get("/api/v1/conversations", headers={"Authorization": old_token})
        assert stale.status_code == 403
    platform.cli("delete", "tenant", "umbrella")
    platform.cli("wait", "tenant/umbrella", "--for", "delete", "--timeout", "60s")
