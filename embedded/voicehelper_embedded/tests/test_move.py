"""A tenant moves between cells while its clients work: nothing fails, is lost, doubled, or comes back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from voicehelper_core import faults, names
from voicehelper_embedded.tests import archived_tenant as world
from voicehelper_embedded.tests.clients import clients
from voicehelper_embedded.tests.crash_points import parameters, points
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
POINTS = [point for point in points("move") if not point.startswith("operator.move.cell")]
ALWAYS = (
    "operator.move.copy.recorded",
    "operator.move.fence.effect",
    "operator.move.switch.recorded",
    "operator.move.abort.effect",
)
NAME, ROOM = "wanderer", "resort"


@pytest.fixture(scope="module")
def cells(platform: Platform) -> Iterator[dict[str, str]]:
    """Two shared cells: the one where the tenant lives first, and the other."""
    world.shared_cell(platform, ROOM)
    yield {"home": "shared-1", "room": ROOM}
    platform.cli("delete", "cell", ROOM, "--wait", check=False)


@pytest.fixture(scope="module")
async def inhabited(platform: Platform, cells: dict[str, str]) -> AsyncIterator[world.Inhabited]:
    with world.removed_at_the_end(platform, NAME):
        yield await world.inhabited(platform, NAME)


def begin(platform: Platform, name: str, *, target: dict[str, Any], tenant: str = NAME, **spec: Any) -> None:
    told = {"tenant": tenant, "target": target, "graceSeconds": 0, **spec}
    manifest = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "TenantMove",
        "metadata": {"name": name},
        "spec": told,
    }
    platform.cli("apply", "-f", "-", stdin=json.dumps(manifest))


async def ended(platform: Platform, name: str, seconds: float = 120) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        status = (await asyncio.to_thread(platform.resource, "tenantmove", name)).get("status", {})
        if "finishedAt" in status:
            return status
        assert time.monotonic() < end, status
        await asyncio.sleep(0.3)


def home(platform: Platform, name: str = NAME) -> dict[str, Any]:
    status: dict[str, Any] = platform.resource("tenant", name)["status"]
    return status


async def empty(platform: Platform, cell_id: str, tenant_id: str) -> dict[str, int]:
    """What a cell has of the tenant and should not; users are nobody's cell's."""
    found = await world.counts(platform, cell_id, tenant_id)
    return {name: count for name, count in found.items() if count and name != "users"}


async def kept(platform: Platform, status: dict[str, Any]) -> dict[str, int]:
    """What stores have of the tenant in its cell, without what changes by itself."""
    found = await world.counts(platform, status["cellId"], status["tenantId"])
    return {name: count for name, count in found.items() if "outbox" not in name}


async def test_a_tenant_moves_under_load_and_comes_back(
    platform: Platform, cells: dict[str, str], inhabited: world.Inhabited
) -> None:
    with platform.client(NAME) as admin:
        gone = admin.post("/api/v1/knowledge/documents", json={"title": "Gone", "content": "The quagga is gone."})
        world.until(lambda: admin.get(f"/api/v1/knowledge/documents/{gone.json()['id']}").json()["status"] == "indexed")
        assert admin.delete(f"/api/v1/knowledge/documents/{gone.json()['id']}").status_code == 204
    before = home(platform)
    pauses = []
    async with clients(platform, NAME) as working:
        for name, target in (("there", cells["room"]), ("back", cells["home"])):
            begin(platform, name, target={"cell": target})
            status = await ended(platform, name)
            assert status["phase"] == "Complete", status
            assert home(platform)["cell"] == target
            pauses.append(status["pauseSeconds"])
            done = working.done
            await asyncio.sleep(2)
            assert working.done > done
        print(f"{working.done} requests, the slowest {working.slowest:.2f} s, pauses {pauses}")
    assert home(platform)["cellId"] == before["cellId"]
    with world.login(platform, NAME, f"ann@{NAME}.example") as ann:
        path = f"/api/v1/conversations/{inhabited.conversation}/messages"
        kept_messages = [item for item in ann.get(path).json()["items"] if item["role"] == "user"]
        assert kept_messages == [item for item in inhabited.messages if item["role"] == "user"]
        again = ann.post(path, json={"content": "What does the heron wait for?"}, headers={"Idempotency-Key": "k1"})
        assert again.json()["id"] == inhabited.messages[1]["id"], "the same request id has the same effect, once"
    with platform.client(NAME) as admin:
        found = admin.post("/api/v1/knowledge/search", json={"query": "heron lagoon fish"}).json()
        assert "heron" in json.dumps(found)
        assert "quagga" not in json.dumps(admin.post("/api/v1/knowledge/search", json={"query": "quagga"}).json())
        assert all(item["title"] != "Gone" for item in admin.get("/api/v1/knowledge/documents").json()["items"])
    other = platform.resource("cell", ROOM)["status"]["cellId"]
    assert await empty(platform, other, before["tenantId"]) == {}


async def test_an_answer_goes_on_across_the_move(
    platform: Platform, cells: dict[str, str], inhabited: world.Inhabited
) -> None:
    """Its rows are the old cell's at the switch; the client reads on there, others read it in the new cell."""
    status = home(platform)
    conversation, answer = names.schema(status["cellId"], "conversation"), None
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        answer = await connection.fetchval(
            f"INSERT INTO {conversation}.messages (tenant_id, conversation_id, user_id, sequence, role, content,"
            " status, worker, leased_until) SELECT tenant_id, id, user_id, 999, 'assistant', '', 'streaming',"
            f" 'the old cell', now() + interval '5 minutes' FROM {conversation}.conversations"
            " WHERE id = $1 RETURNING id",
            inhabited.conversation,
        )

        async def event(number: int, kind: str, body: dict[str, Any]) -> None:
            await connection.execute(
                f"INSERT INTO {conversation}.message_events (tenant_id, message_id, id, type, events)"
                " VALUES ($1, $2, $3, $4, $5)",
                status["tenantId"], answer, number, kind, json.dumps([{"id": number, "type": kind, "body": body}]),
            )  # fmt: skip

        await event(1, "delta", {"delta": "The heron "})
        begin(platform, "talking", target={"cell": cells["room"]})
        world.until(lambda: platform.resource("tenantmove", "talking")["status"].get("phase") == "Draining")
        assert platform.resource("tenantmove", "talking")["status"]["unfinished"] == 1
        assert home(platform)["cell"] == cells["room"]
        with world.login(platform, NAME, f"ann@{NAME}.example") as ann:
            path = f"/api/v1/conversations/{inhabited.conversation}/messages/{answer}/events"
            with ann.stream("GET", path) as stream:
                lines = stream.iter_lines()
                assert next(line for line in lines if line.startswith("data")) == 'data: {"delta": "The heron "}'
                await event(2, "delta", {"delta": "waits."})
                assert next(line for line in lines if line.startswith("data")) == 'data: {"delta": "waits."}'
                await connection.execute(
                    f"UPDATE {conversation}.messages SET status = 'failed', error = 'enough' WHERE id = $1", answer
                )
                await event(3, "error", {"code": "interrupted", "detail": "enough"})
        done = await ended(platform, "talking")
        assert (done["phase"], done["unfinished"]) == ("Complete", 0)
        with world.login(platform, NAME, f"ann@{NAME}.example") as ann:
            items = ann.get(f"/api/v1/conversations/{inhabited.conversation}/messages").json()["items"]
            assert [item["status"] for item in items if item["id"] == str(answer)] == ["failed"]
    finally:
        await connection.close()
    begin(platform, "talked", target={"cell": cells["home"]})
    assert (await ended(platform, "talked"))["phase"] == "Complete"


async def test_a_stream_goes_on_across_the_move_and_is_counted_once(
    platform: Platform, cells: dict[str, str], inhabited: world.Inhabited
) -> None:
    """The model takes its time: its answer is begun in the old cell, and ends there after the switch."""

    def counted() -> int:
        totals = json.loads(platform.cli("usage", "--tenant", NAME, "--json").stdout)["totals"]
        return int(totals["message_count"])

    def settled() -> int:
        found = counted()
        while True:
            time.sleep(4)
            if (again := counted()) == found:
                return found
            found = again

    def complete(client: httpx.Client) -> set[str]:
        items = client.get(f"{path}?limit=100").json()["items"]
        return {item["id"] for item in items if (item["role"], item["status"]) == ("assistant", "completed")}

    question, stream = {"content": "What does the heron wait for?"}, {"Accept": "text/event-stream"}
    path = f"/api/v1/conversations/{inhabited.conversation}/messages"
    with world.login(platform, NAME, f"ann@{NAME}.example") as ann:
        before, known = settled(), complete(ann)
        assert ann.post(path, json=question, headers=stream).status_code == 200
        each = settled() - before
        assert each > 0
        faults.arm(platform.faults, "conversation.answer.effect", "sleep:12000")
        with ann.stream("POST", path, json=question, headers=stream) as answer:
            lines = answer.iter_lines()
            assert any("message.started" in line for line in lines)
            begin(platform, "midway", target={"cell": cells["room"]})
            world.until(lambda: home(platform)["cell"] == cells["room"], 10)
            kinds = [line for line in lines if line.startswith("event: message.")]
            assert kinds[-1] == "event: message.completed", kinds[-3:]
        done = await ended(platform, "midway")
        assert (done["phase"], done["unfinished"]) == ("Complete", 0)
        assert len(complete(ann)) == len(known) + 2
    assert settled() == before + 2 * each
    begin(platform, "midway-back", target={"cell": cells["home"]})
    assert (await ended(platform, "midway-back"))["phase"] == "Complete"


async def test_into_a_cell_of_its_own_and_out_again(platform: Platform, inhabited: world.Inhabited) -> None:
    before = await kept(platform, home(platform))
    async with clients(platform, NAME):
        begin(platform, "alone", target={"isolation": "dedicated"})
        assert (await ended(platform, "alone", 200))["phase"] == "Complete"
        assert home(platform)["cell"] == NAME
        begin(platform, "company", target={"cell": "shared-1"})
        assert (await ended(platform, "company", 200))["phase"] == "Complete"
    cells = [
        item["metadata"]["name"] for item in json.loads(platform.cli("get", "cells", "-o", "json").stdout)["items"]
    ]
    assert NAME not in cells
    after = await kept(platform, home(platform))
    assert after["objects"] == before["objects"]
    assert after["vectors"] == before["vectors"]


async def test_what_was_altered_in_the_target_is_never_switched_to(
    platform: Platform, cells: dict[str, str], inhabited: world.Inhabited
) -> None:
    """Somebody writes into the target between the comparison of everything and the switch."""
    status, other = home(platform), platform.resource("cell", ROOM)["status"]["cellId"]
    connection = await asyncpg.connect(platform.postgres_dsn)
    table = f"{names.schema(other, 'knowledge')}.documents"
    function = f"{names.placement_schema(status['cellId'])}.spoil"
    try:
        await connection.execute(
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF NEW.leaving THEN UPDATE {table} SET title = 'spoilt' WHERE tenant_id = '{status['tenantId']}';"
            " END IF; RETURN NULL; END $$"
        )
        await connection.execute(
            f"CREATE TRIGGER spoil AFTER UPDATE ON {names.placement_schema(status['cellId'])}.tenants"
            f" FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        async with clients(platform, NAME):
            begin(platform, "spoilt", target={"cell": cells["room"]})
            world.until(lambda: platform.resource("tenantmove", "spoilt")["status"].get("attempts", 0) >= 1)
            world.until(lambda: "checksums" in platform.resource("tenantmove", "spoilt")["status"]["message"])
            assert home(platform)["cell"] == cells["home"]
            await connection.execute(f"DROP FUNCTION {function}() CASCADE")
            assert (await ended(platform, "spoilt"))["phase"] == "Complete"
        with platform.client(NAME) as admin:
            titles = {item["title"] for item in admin.get("/api/v1/knowledge/documents").json()["items"]}
            assert "spoilt" not in titles
            assert "Birds" in titles
    finally:
        await connection.execute(f"DROP FUNCTION IF EXISTS {function}() CASCADE")
        await connection.close()
    begin(platform, "unspoilt", target={"cell": cells["home"]})
    assert (await ended(platform, "unspoilt"))["phase"] == "Complete"


async def test_an_abort_leaves_no_trace(platform: Platform, cells: dict[str, str], inhabited: world.Inhabited) -> None:
    status, other = home(platform), platform.resource("cell", ROOM)["status"]["cellId"]
    world.arm(platform, "operator.move.switch.before")
    begin(platform, "given-up", target={"cell": cells["room"]})
    world.until(lambda: world.struck(platform, "operator.move.switch.before"))
    begin(platform, "given-up", target={"cell": cells["room"]}, state="Abort")
    assert (await ended(platform, "given-up"))["phase"] == "Aborted"
    assert home(platform)["cell"] == cells["home"]
    assert await empty(platform, other, status["tenantId"]) == {}
    with platform.client(NAME) as admin:
        assert admin.post("/api/v1/conversations", json={"title": "still here"}).status_code == 201


@pytest.mark.parametrize("point", parameters(POINTS, always=ALWAYS))
async def test_whenever_the_control_plane_dies_nothing_is_lost(
    platform: Platform, cells: dict[str, str], inhabited: world.Inhabited, point: str
) -> None:
    name, now = f"m-{POINTS.index(point)}", home(platform)["cell"]
    target = cells["room"] if now == cells["home"] else cells["home"]
    with platform.client(NAME) as admin:
        listed = {item["id"] for item in admin.get("/api/v1/conversations?limit=100").json()["items"]}
    if ".abort." in point:  # something has to be there that goes
        world.arm(platform, "operator.move.copy.effect")
        begin(platform, name, target={"cell": target})
        world.until(lambda: world.struck(platform, "operator.move.copy.effect"))
    world.arm(platform, point)
    begin(platform, name, target={"cell": target}, state="Abort" if ".abort." in point else "Run")
    world.until(lambda: world.struck(platform, point))
    status = await ended(platform, name)
    assert status["phase"] == ("Aborted" if ".abort." in point else "Complete"), status
    assert home(platform)["cell"] == (now if ".abort." in point else target)
    with platform.client(NAME) as admin:
        assert {item["id"] for item in admin.get("/api/v1/conversations?limit=100").json()["items"]} == listed
        assert "heron" in json.dumps(admin.post("/api/v1/knowledge/search", json={"query": "heron"}).json())
    places = {item: platform.resource("cell", item)["status"]["cellId"] for item in (now, target)}
    assert await empty(platform, places[target if ".abort." in point else now], inhabited.tenant_id) == {}
