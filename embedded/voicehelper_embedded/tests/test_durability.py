"""Kill -9 of a cell, of the sink and of Postgres while messages are sent: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter

import asyncpg
import httpx
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
TENANT = "durable"
WRITERS = 4
PATIENCE_SECONDS = 10
ROUNDS = ("cell", "analytics", "postgres", "cell", "analytics")
MANIFEST = f"""
apiVersion: voicehelper.io/v1alpha1
kind: Tenant
metadata:
  name: {TENANT}
spec:
  displayName: Durable
  planRef: team
  admin:
    email: admin@durable.example
  deletion:
    policy: Delete
"""


class Writer:
    """Sends one question after the other; repeats each under its key until it is acknowledged or given up.

    A question whose answer was cut off stays unanswered under its key: it was never acknowledged.
    """

    def __init__(self, client: httpx.AsyncClient, conversation: str) -> None:
        self.client, self.path = client, f"/api/v1/conversations/{conversation}/messages"
        self.answers: dict[str, str] = {}
        self.last = ""

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.ask(f"question {uuid.uuid4()}")

    async def ask(self, text: str) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                answer = await self.client.post(self.path, json={"content": text}, headers=key)
            except httpx.HTTPError as error:
                self.last = repr(error)
            else:
                self.last = answer.text
                if answer.status_code in (200, 201):
                    assert answer.json()["role"] == "assistant", answer.text
                    self.answers[text] = answer.json()["id"]
                    return
                assert answer.status_code in (409, 429, 500, 502, 503, 504), answer.text
            await asyncio.sleep(0.2)


@pytest.fixture
def tenant(watched):
    watched.platform.cli("apply", "-f", "-", stdin=MANIFEST)
    watched.platform.cli("wait", f"tenant/{TENANT}", "--for", "condition=Ready", "--timeout", "120s")
    yield TENANT
    watched.until_running()
    watched.platform.cli("delete", "tenant", TENANT)
    watched.platform.cli("wait", f"tenant/{TENANT}", "--for", "delete", "--timeout", "60s")


async def _history(client: httpx.AsyncClient, conversation: str) -> list[dict]:
    items, cursor = [], ""
    while True:
        params = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(f"/api/v1/conversations/{conversation}/messages", params=params)).raise_for_status()
        items += page.json()["items"]
        cursor = page.json().get("next_cursor")
        if not cursor:
            return items


async def _rows(watched, cell_id: str, tenant_id: str) -> Counter[str]:
    secret = json.loads((watched.platform.home / "secrets" / "platform.json").read_text())
    dsn = f"postgresql://postgres:{secret['postgres_password']}@127.0.0.1:{watched.platform.ports['postgres']}/voicehelper"
    connection = await asyncpg.connect(dsn)
    try:
        table = f"{cell_id}_conversation.messages"
        rows = await connection.fetch(
            f"SELECT role, count(*) AS n FROM {table} WHERE tenant_id = $1 AND status = 'completed' GROUP BY role",
            tenant_id,
        )
    finally:
        await connection.close()
    return Counter({row["role"]: row["n"] for row in rows})


async def test_nothing_acknowledged_is_lost_or_doubled(watched, tenant):
    platform = watched.platform
    resource = platform.resource("tenant", tenant)
    tenant_id, cell = resource["status"]["tenantId"], resource["status"]["cell"]
    cell_id = platform.resource("cell", cell)["status"]["cellId"]
    headers = {"X-Tenant-ID": tenant, "Authorization": f"Bearer {platform.token(tenant)}"}
    stop = asyncio.Event()
    async with httpx.AsyncClient(base_url=platform.router, headers=headers, timeout=30, trust_env=False) as client:
        conversations = [
            (await client.post("/api/v1/conversations", json={"title": "x"})).raise_for_status().json()["id"]
            for _ in range(WRITERS)
        ]
        writers = [Writer(client, one) for one in conversations]
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(writer.run(stop))
            for name in ROUNDS:
                await asyncio.sleep(2)
                victim = f"cell-{cell_id}" if name == "cell" else name
                pid = await asyncio.to_thread(watched.kill, victim)
                await asyncio.to_thread(watched.until_replaced, victim, pid)
                await _all_go_on(writers)
            stop.set()
        await asyncio.to_thread(watched.until_running)
        sent = {text: identifier for writer in writers for text, identifier in writer.answers.items()}

        seen, answers = Counter(), Counter()
        for conversation in conversations:
            for message in await _history(client, conversation):
                (seen if message["role"] == "user" else answers)[
                    message["content" if message["role"] == "user" else "id"]
                ] += 1
        assert {text: seen[text] for text in sent if seen[text] != 1} == {}
        assert {identifier: answers[identifier] for identifier in sent.values() if answers[identifier] != 1} == {}
        assert {text: count for text, count in seen.items() if count != 1} == {}

        stored = await _rows(watched, cell_id, tenant_id)
        totals = await _usage(client, stored)
    assert (totals["user_message_count"], totals["assistant_message_count"]) == (stored["user"], stored["assistant"])
    assert totals["message_count"] == stored.total()


async def _all_go_on(writers: list[Writer]) -> None:
    """After a kill everybody gets answers again, and none is an error for good."""
    before, end = [len(writer.answers) for writer in writers], time.monotonic() + 90
    while late := [w.last for w, count in zip(writers, before, strict=True) if len(w.answers) == count]:
        assert time.monotonic() < end, late
        await asyncio.sleep(0.2)


async def _usage(client: httpx.AsyncClient, stored: Counter[str]) -> dict:
    """Totals of the per-minute view once they have caught up, and a while later, when a double would show."""
    end = time.monotonic() + 120
    while True:
        totals = (await client.get("/api/v1/usage")).raise_for_status().json()["totals"]
        if totals["message_count"] >= stored.total() or time.monotonic() > end:
            await asyncio.sleep(3)
            final: dict = (await client.get("/api/v1/usage")).raise_for_status().json()["totals"]
            return final
        await asyncio.sleep(0.5)
