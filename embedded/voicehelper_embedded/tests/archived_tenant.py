"""A tenant with something in every store, and questions about what is left of one."""

from __future__ import annotations

import io
import json
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from voicehelper_core import faults, names
from voicehelper_core.archive import Manifest, members, verify
from voicehelper_core.milvus import MilvusClient
from voicehelper_embedded.throwaway import Platform, tenant

PASSWORD = "correct horse battery"
PASSAGE = "The heron wades through the shallow lagoon at dawn and waits for small silver fish."
ODD = "tab\there, line\nthere, back\\slash, \\N, \\., quote' \" and 🦩 \u2028 \x7f end"


def until(check: Callable[[], Any], seconds: float = 90) -> Any:
    """What the check returns once it returns something."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.3)
    return found


@contextmanager
def removed_at_the_end(platform: Platform, *tenants: str) -> Iterator[None]:
    try:
        yield
    finally:
        for name in tenants:
            platform.cli("delete", "tenant", name, check=False)
        for name in tenants:
            platform.cli("wait", f"tenant/{name}", "--for", "delete", "--timeout", "90s", check=False)


def shared_cell(platform: Platform, name: str) -> None:
    """A cell of which nothing is left when it is deleted."""
    manifest = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Cell",
        "metadata": {"name": name},
        "spec": {
            "tenancy": "shared",
            "classRef": "standard",
            "capacity": 50,
            "cordoned": True,
            "deletion": {"policy": "Delete"},
        },
    }
    platform.cli("apply", "-f", "-", stdin=json.dumps(manifest))
    platform.cli("wait", f"cell/{name}", "--for", "condition=Ready", "--timeout", "150s")


@dataclass(frozen=True)
class Inhabited:
    """What was made, to be found again."""

    name: str
    tenant_id: str
    cell_id: str
    conversation: str
    messages: list[dict[str, Any]]


def made(platform: Platform, name: str, plan: str = "team", policy: str = "Archive", **spec: Any) -> dict[str, Any]:
    manifest = tenant(name, plan, deletion={"policy": policy}, **spec)
    platform.cli("apply", "-f", "-", stdin=json.dumps(manifest))
    platform.cli("wait", f"tenant/{name}", "--for", "condition=Ready", "--timeout", "120s")
    return platform.resource("tenant", name)


def login(platform: Platform, name: str, email: str, password: str = PASSWORD) -> httpx.Client:
    body = {"tenant": name, "email": email, "password": password}
    with httpx.Client(base_url=platform.router, trust_env=False, timeout=60) as client:
        answer = client.post("/api/v1/identity/login", json=body)
        assert answer.status_code == 200, answer.text
    headers = {"X-Tenant-ID": name, "Authorization": f"Bearer {answer.json()['access_token']}"}
    return httpx.Client(base_url=platform.router, headers=headers, timeout=60, trust_env=False)


async def inhabited(platform: Platform, name: str, plan: str = "team") -> Inhabited:
    """A user with a conversation, documents in three states, an unfinished answer, rows with odd characters."""
    status = made(platform, name, plan)["status"]
    tenant_id, cell_id = status["tenantId"], status["cellId"]
    with platform.client(name) as admin:
        user = {"email": f"ann@{name}.example", "password": PASSWORD, "display_name": ODD}
        answer = admin.post("/api/v1/identity/users", json=user)
        assert answer.status_code == 201, answer.text
        documents = [
            {"title": "Birds", "external_id": "birds", "content": PASSAGE},
            {"title": "Odd", "external_id": "odd", "content": f"Odd signs: {ODD}. They are kept as they are."},
            {"title": "Broken", "external_id": "broken", "content": "This one fails later."},
        ]
        ids = []
        for document in documents:
            answer = admin.post("/api/v1/knowledge/documents", json=document)
            assert answer.status_code == 202, answer.text
            ids.append(answer.json()["id"])
        for number in ids:
            until(lambda n=number: admin.get(f"/api/v1/knowledge/documents/{n}").json()["status"] == "indexed")
    with login(platform, name, f"ann@{name}.example") as ann:
        conversation = ann.post("/api/v1/conversations", json={"title": ODD}).json()["id"]
        path = f"/api/v1/conversations/{conversation}/messages"
        answer = ann.post(path, json={"content": "What does the heron wait for?"}, headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 200, answer.text
        messages = ann.get(path).json()["items"]
    schema, knowledge = names.schema(cell_id, "conversation"), names.schema(cell_id, "knowledge")
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        await connection.execute(
            f"INSERT INTO {schema}.messages (tenant_id, conversation_id, user_id, sequence, role, content, status,"
            " worker, leased_until) SELECT tenant_id, id, user_id, 99, 'assistant', $2, 'streaming', 'a dead one',"
            f" now() - interval '1 minute' FROM {schema}.conversations WHERE id = $1",
            conversation,
            ODD * 20_000,
        )
        await connection.execute(
            f"UPDATE {knowledge}.documents SET status = 'failed', error = $2 WHERE id = $1", ids[2], ODD
        )
    finally:
        await connection.close()
    return Inhabited(name, tenant_id, cell_id, conversation, messages)


async def counts(platform: Platform, cell_id: str, tenant_id: str) -> dict[str, int]:
    """Rows by table, objects, vectors; of the outbox too."""
    connection = await asyncpg.connect(platform.postgres_dsn)
    found = {}
    try:
        schemas = [names.schema(cell_id, service) for service in names.SERVICES]
        tables = await connection.fetch(
            "SELECT table_schema, table_name FROM information_schema.columns"
            " WHERE table_schema = ANY($1) AND column_name = 'tenant_id'",
            schemas,
        )
        for schema, table in tables:
            title = f"{schema.removeprefix(f'{cell_id}_')}.{table}"
            query = f"SELECT count(*) FROM {schema}.{table} WHERE tenant_id = $1"
            found[title] = await connection.fetchval(query, tenant_id)
        users = "SELECT count(*) FROM identity.users WHERE tenant_id = $1"
        found["users"] = await connection.fetchval(users, tenant_id)
    finally:
        await connection.close()
    found["objects"] = sum(path.is_file() for path in objects(platform, cell_id, tenant_id))
    found["vectors"] = await vectors(platform, cell_id, tenant_id)
    return found


def objects(platform: Platform, cell_id: str, tenant_id: str) -> list[Path]:
    return sorted((platform.home / "data" / "objects" / cell_id / tenant_id).rglob("*"))


async def vectors(platform: Platform, cell_id: str, tenant_id: str) -> int:
    client, collection = MilvusClient(f"http://127.0.0.1:{platform.ports['milvus']}"), names.collection(cell_id)
    try:
        if not await client.has_collection(collection) or not await client.has_partition(collection, tenant_id):
            return 0
        condition = f'tenant_id == "{tenant_id}"'
        rows = await client.query(collection, filter=condition, partition_names=[tenant_id], output_fields=["count(*)"])
        return int(rows[0]["count(*)"]) if rows else 0
    finally:
        await client.close()


def archives(platform: Platform, tenant_id: str) -> list[Path]:
    """The whole ones, and what was left behind of others."""
    return sorted((platform.home / "data" / "archives").glob(f"*{tenant_id}*"))


def archived(platform: Platform, name: str, tenant_id: str) -> tuple[Path, Manifest]:
    """The tenant is deleted; its archive, whole and for nobody else to read."""
    platform.cli("delete", "tenant", name, "--wait", "--timeout", "120s")
    return kept(platform, tenant_id)


def kept(platform: Platform, tenant_id: str) -> tuple[Path, Manifest]:
    (path,) = archives(platform, tenant_id)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("rb") as file:
        return path, verify(file)[0]


def contents(path: Path) -> Iterator[tuple[str, str, bytes]]:
    for member in members(io.BytesIO(path.read_bytes())):
        yield member.path, member.key, member.content()


def arm(platform: Platform, point: str) -> None:
    faults.arm(platform.faults, point)


def struck(platform: Platform, point: str) -> bool:
    return not (platform.faults / point).exists()
