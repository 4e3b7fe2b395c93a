"""The control plane is killed at every step of an archive and of a restore; whatever comes next ends right."""

from __future__ import annotations

import json
import time

import pytest
from voicehelper_embedded.supervisor.unit import STABLE_SECONDS
from voicehelper_embedded.tests import archived_tenant as world
from voicehelper_embedded.tests.crash_points import parameters, points

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
ARCHIVING = parameters(points("archive"), always=("operator.tenant.archive.recorded", "operator.archive.write.effect"))
RESTORING = parameters(
    points("restore"),
    always=("identity.users.before", "operator.restore.rows.recorded", "operator.restore.vectors.effect"),
)
BACK_SECONDS = 5.0 + STABLE_SECONDS
"""After a death: some until it serves again, and those in which it must serve, or it is let wait at its next death."""


def alive(platform) -> bool:
    answer = platform.cli("status", "--json", check=False)
    if answer.returncode:
        return False
    components = json.loads(answer.stdout)["components"]
    return all(item["state"] == "ready" for item in components if item["name"] == "control-plane")


@pytest.fixture(scope="module")
def other_cell(platform):
    world.shared_cell(platform, "crash-target")
    yield "crash-target"
    platform.cli("delete", "cell", "crash-target", "--wait", check=False)


def same(now, had):
    """But for the event that the unfinished answer has failed, which its cell writes once it is old."""
    events, outboxes = "conversation.message_events", ("conversation.outbox", "knowledge.outbox")
    assert now[events] - had[events] in (0, 1)
    now, had = ({key: count for key, count in item.items() if key not in (events, *outboxes)} for item in (now, had))
    assert now == had


@pytest.mark.parametrize("point", ARCHIVING)
async def test_an_archive_is_whole_and_nothing_is_left(platform, point):
    with world.removed_at_the_end(platform, "crasha"):
        before = await world.inhabited(platform, "crasha")
        had = await world.counts(platform, before.cell_id, before.tenant_id)
        world.arm(platform, point)
        platform.cli("delete", "tenant", "crasha")
        world.until(lambda: world.struck(platform, point))
        died = time.monotonic()
        if not world.archives(platform, before.tenant_id):
            now = await world.counts(platform, before.cell_id, before.tenant_id)
            same(now, had)  # nothing is removed before its archive is there
        platform.cli("wait", "tenant/crasha", "--for", "delete", "--timeout", "150s")
        _, manifest = world.kept(platform, before.tenant_id)
        rows = {title: count for title, count in had.items() if "." in title}
        same({table.title: table.rows for table in manifest.tables}, rows)
        assert (manifest.users, manifest.objects) == (had["users"], had["objects"])
        assert set((await world.counts(platform, before.cell_id, before.tenant_id)).values()) == {0}
    time.sleep(max(0.0, died + BACK_SECONDS - time.monotonic()))


@pytest.fixture(scope="module")
async def archive(platform):
    before = await world.inhabited(platform, "crashb")
    path, manifest = world.archived(platform, "crashb", before.tenant_id)
    return before, path, manifest


@pytest.mark.parametrize("point", RESTORING)
async def test_a_restore_begins_anew_without_doubles(platform, other_cell, archive, point):
    before, path, manifest = archive
    command = ("tenant", "import", str(path), "--name", "crashc", "--cell", other_cell)
    with world.removed_at_the_end(platform, "crashc"):
        world.arm(platform, point)
        assert platform.cli(*command, check=False).returncode == 1
        assert world.struck(platform, point)
        died = time.monotonic()
        world.until(lambda: alive(platform))
        world.until(lambda: platform.cli(*command, check=False).returncode == 0, 150)
        platform.cli("wait", "tenant/crashc", "--for", "condition=Ready", "--timeout", "90s")
        status = platform.resource("tenant", "crashc")["status"]
        with world.login(platform, "crashc", "ann@crashb.example") as ann:
            path = f"/api/v1/conversations/{before.conversation}/messages"
            world.until(lambda: "streaming" not in {m["status"] for m in ann.get(path).json()["items"]}, 30)
        now = await world.counts(platform, status["cellId"], status["tenantId"])
        told = now.pop("conversation.message_events") - manifest.rows("conversation", "message_events")
        assert told in (0, 1)  # that the unfinished answer failed: here, or in its first home already
        for table in manifest.tables:
            assert now.get(table.title, table.rows) == table.rows, table.title
        assert now["vectors"] == manifest.rows("knowledge", "chunk_vectors")
        assert (now["objects"], now["users"]) == (manifest.objects, manifest.users)
    time.sleep(max(0.0, died + BACK_SECONDS - time.monotonic()))
