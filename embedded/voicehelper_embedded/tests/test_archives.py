"""A tenant is archived and restored elsewhere, on the real stores."""

from __future__ import annotations

import gzip
import json
import time

import asyncpg
import httpx
import pytest
from voicehelper_core import names
from voicehelper_embedded.tests import archived_tenant as world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
LEFT_OUT = ("conversation.outbox", "knowledge.outbox")
PATH = "/api/v1/identity/tenants"


@pytest.fixture(scope="module")
def other_cell(platform):
    world.shared_cell(platform, "archive-target")
    yield "archive-target"
    platform.cli("delete", "cell", "archive-target", "--wait", check=False)


async def test_an_archived_tenant_lives_on_in_another_cell(platform, other_cell, tmp_path):
    with world.removed_at_the_end(platform, "archa", "archb"):
        before = await world.inhabited(platform, "archa")
        had = await world.counts(platform, before.cell_id, before.tenant_id)
        original = {
            path.relative_to(path.parents[1]) for path in world.objects(platform, before.cell_id, before.tenant_id)
        }
        assert original
        assert had["knowledge.chunks"] == had["vectors"] > 0
        path, manifest = world.archived(platform, "archa", before.tenant_id)

        assert set((await world.counts(platform, before.cell_id, before.tenant_id)).values()) == {0}
        assert not (platform.home / "secrets" / f"tenant-{before.tenant_id}-admin.json").exists()
        told = platform.cli("describe", "tenant", "archa", check=False)
        assert told.returncode != 0
        assert {table.title: table.rows for table in manifest.tables} == {
            title: had[title] for title in had if "." in title and title not in LEFT_OUT
        }

        report = json.loads(
            platform.cli("tenant", "import", str(path), "--name", "archb", "--cell", other_cell, "--json").stdout
        )
        assert report["renamed_users"] == 0
        platform.cli("wait", "tenant/archb", "--for", "condition=Ready", "--timeout", "90s")
        status = platform.resource("tenant", "archb")["status"]
        assert status["tenantId"] != before.tenant_id
        assert status["cellId"] != before.cell_id
        with world.login(platform, "archb", "ann@archa.example") as ann:
            messages = f"/api/v1/conversations/{before.conversation}/messages"
            until = world.until
            items = until(lambda: ann.get(messages).json()["items"])
            assert [m for m in items if m["id"] in {n["id"] for n in before.messages}] == before.messages
            (unfinished,) = (m for m in items if m["id"] not in {n["id"] for n in before.messages})
            assert unfinished["content"] == world.ODD * 20_000
            until(lambda: "streaming" not in {m["status"] for m in ann.get(messages).json()["items"]}, 30)
            assert ann.get(f"/api/v1/conversations/{before.conversation}").json()["title"] == world.ODD
            found = ann.post("/api/v1/knowledge/search", json={"query": "heron lagoon fish"}).json()["hits"]
            assert world.PASSAGE in found[0]["text"]
            vector = ann.post("/api/v1/knowledge/search", json={"query": "heron lagoon fish", "mode": "vector"})
            assert world.PASSAGE in vector.json()["hits"][0]["text"]
            again = ann.post(messages, json={"content": "What does the heron wait for?"})
            assert again.status_code == 200, again.text
            assert "heron" in json.dumps(again.json()).lower()
        with platform.client("archb") as admin:  # with the first admin's old password, from the operator's secret
            states = {d["external_id"]: d for d in admin.get("/api/v1/knowledge/documents").json()["items"]}
            assert {key: d["status"] for key, d in states.items()} == {
                "birds": "indexed", "odd": "indexed", "broken": "failed",
            }  # fmt: skip
            assert states["broken"]["error"] == world.ODD


async def test_nothing_of_the_restore_is_told_as_usage(platform, other_cell):
    with world.removed_at_the_end(platform, "archc", "archd"):
        before = await world.inhabited(platform, "archc")
        file = platform.home / "archc.tar.gz"
        platform.cli("tenant", "export", "archc", "-o", str(file))
        platform.cli("tenant", "import", str(file), "--name", "archd", "--cell", other_cell)
        status = platform.resource("tenant", "archd")["status"]
        with world.login(platform, "archd", "ann@archc.example") as ann:
            path = f"/api/v1/conversations/{before.conversation}/messages"
            world.until(lambda: "streaming" not in {m["status"] for m in ann.get(path).json()["items"]}, 30)
        now = await world.counts(platform, status["cellId"], status["tenantId"])
        had = await world.counts(platform, before.cell_id, before.tenant_id)
        events = {title: now.pop(title) for title in LEFT_OUT}
        told = now.pop("conversation.message_events") - had.pop("conversation.message_events")
        assert told in (0, 1)  # that the unfinished answer failed: here for sure, and in its first home once it is old
        assert set(events.values()) == {0}
        assert now == {title: count for title, count in had.items() if title not in LEFT_OUT}
        # Both live on this platform, so the users have other ids, and what they wrote is still theirs.
        with world.login(platform, "archd", "ann@archc.example") as ann:
            assert [c["id"] for c in ann.get("/api/v1/conversations").json()["items"]] == [before.conversation]
        file.unlink()


async def test_an_archive_holds_nothing_of_its_neighbours(platform):
    with world.removed_at_the_end(platform, "arche", "archf"):
        one, other = await world.inhabited(platform, "arche"), await world.inhabited(platform, "archf")
        assert one.cell_id == other.cell_id
        path, _ = world.archived(platform, "arche", one.tenant_id)
        whole = gzip.decompress(path.read_bytes())
        connection = await asyncpg.connect(platform.postgres_dsn)
        try:
            schema = names.schema(other.cell_id, "knowledge")
            chunks = await connection.fetch(f"SELECT id FROM {schema}.chunks WHERE tenant_id = $1", other.tenant_id)
            users = await connection.fetch("SELECT id FROM identity.users WHERE tenant_id = $1", other.tenant_id)
        finally:
            await connection.close()
        assert chunks
        assert users
        strange = [other.tenant_id, "archf", other.conversation, *(str(row[0]) for row in (*chunks, *users))]
        assert [text for text in strange if text.encode() in whole] == []
        with platform.client("archf") as client:
            hits = client.post("/api/v1/knowledge/search", json={"query": "heron"}).json()["hits"]
        assert hits
        links = [p for p in world.objects(platform, other.cell_id, other.tenant_id) if p.is_file()]
        assert links


async def test_broken_archives_are_refused_and_leave_nothing(platform, other_cell):
    with world.removed_at_the_end(platform, "archg"):
        before = world.made(platform, "archg")
        file = platform.home / "archg.tar.gz"
        platform.cli("tenant", "export", "archg", "-o", str(file))
        whole = file.read_bytes()
        headers = {"X-Tenant-ID": "_public", "Authorization": f"Bearer {platform.token(None)}"}
        with httpx.Client(base_url=platform.router, headers=headers, timeout=120, trust_env=False) as client:
            for broken in (b"", b"hello", whole[: len(whole) // 2], gzip.compress(gzip.decompress(whole)[:-20_000])):
                answer = client.post(f"{PATH}/import", params={"name": "archh"}, content=broken)
                last = json.loads(answer.text.splitlines()[-1])
                assert (last["event"], last["status"]) == ("failed", 422), last
                assert "archive" in last["detail"]
            taken = client.post(f"{PATH}/import", content=whole).text.splitlines()[-1]
            assert "tenant/archg exists already, with data of its own" in taken
            missing = client.post(f"{PATH}/import", params={"name": "archh", "plan": "none"}, content=whole)
            assert "there is no TenantPlan 'none'" in missing.text
            same = client.post(
                f"{PATH}/import", params={"name": "archh", "cell": before["status"]["cell"]}, content=whole
            )
            assert json.loads(same.text.splitlines()[-1])["event"] == "restored"  # without rows there is no conflict
        assert platform.cli("tenant", "import", str(file), check=False).returncode == 1
        with platform.client("archg") as member:
            refused = member.get(f"{PATH}/archg/export")
            assert refused.status_code == 403
            assert member.post(f"{PATH}/import", content=whole).status_code == 403
        file.unlink()
        platform.cli("delete", "tenant", "archh", "--wait", check=False)


async def test_a_tenant_whose_rows_are_in_the_cell_is_refused_and_taken_back(platform):
    with world.removed_at_the_end(platform, "archi"):
        await world.inhabited(platform, "archi")
        file, cell = platform.home / "archi.tar.gz", platform.resource("tenant", "archi")["status"]["cell"]
        platform.cli("tenant", "export", "archi", "-o", str(file))
        refused = platform.cli("tenant", "import", str(file), "--name", "archj", "--cell", cell, check=False)
        assert "import it into another cell" in refused.stderr
        platform.cli("wait", "tenant/archj", "--for", "delete", "--timeout", "60s")
        file.unlink()


async def test_a_dedicated_cell_goes_after_its_archive(platform, other_cell):
    with world.removed_at_the_end(platform, "archk", "archl"):
        before = await world.inhabited(platform, "archk", "enterprise")
        path, _ = world.archived(platform, "archk", before.tenant_id)
        connection = await asyncpg.connect(platform.postgres_dsn)
        try:
            left = await connection.fetchval(f"SELECT 1 FROM pg_namespace WHERE nspname LIKE '{before.cell_id}%'")
        finally:
            await connection.close()
        assert left is None
        platform.cli("tenant", "import", str(path), "--name", "archl", "--cell", other_cell, "--plan", "team")
        with world.login(platform, "archl", "ann@archk.example") as ann:
            world.until(lambda: ann.get(f"/api/v1/conversations/{before.conversation}").status_code == 200, 30)


async def test_a_store_that_is_away_stops_it_and_nothing_is_lost(platform):
    with world.removed_at_the_end(platform, "archm"):
        before = await world.inhabited(platform, "archm")
        had = await world.counts(platform, before.cell_id, before.tenant_id)
        folder = platform.home / "data" / "archives"
        folder.rename(folder.with_suffix(".away"))
        folder.write_text("")  # no folder can be made here
        try:
            platform.cli("delete", "tenant", "archm")

            def said() -> str:
                conditions = platform.resource("tenant", "archm")["status"]["conditions"]
                return next((c["message"] for c in conditions if c["reason"] == "ArchiveFailed"), "")

            assert world.until(said).startswith("archives: ")
            time.sleep(3)
            now = await world.counts(platform, before.cell_id, before.tenant_id)
            events = "conversation.message_events"  # of the unfinished answer, which its cell ends once it is old
            assert now.pop(events) - had.pop(events) in (0, 1)
            assert {k: v for k, v in now.items() if v != had[k]} == {}
        finally:
            folder.unlink()
            folder.with_suffix(".away").rename(folder)
        platform.cli("wait", "tenant/archm", "--for", "delete", "--timeout", "90s")
        world.kept(platform, before.tenant_id)
