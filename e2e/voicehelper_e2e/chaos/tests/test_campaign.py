"""A small campaign on the running platform, and the oracle's mutations on real stores: each must be reported."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from confluent_kafka import admin
from voicehelper_core import names
from voicehelper_e2e.chaos import campaign, report
from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.oracle import documents, events, orphans
from voicehelper_e2e.chaos.oracle.world import World, table
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.schedule import draw

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
POINTS = {"cell": ("conversation.send.recorded",), "analytics": ("sink.insert.effect",)}


@pytest.fixture(scope="module")
async def fired(platform) -> AsyncIterator[FiredOn]:
    made = FiredOn(platform)
    await made.all_ready()
    await campaign.found(made)
    yield made
    await made.all_ready()
    await campaign.disband(made)


@pytest.fixture(scope="module")
async def outcome(fired) -> campaign.Outcome:
    """Six kills and two fault points; what the oracle's mutations then damage."""
    schedule = draw(4, kills=6, lanes=POINTS)
    return await campaign.run(fired, schedule, list(campaign.TENANTS), minutes=8, say=print)


async def test_nothing_acknowledged_is_lost_or_doubled(outcome):
    assert outcome.passed, report.text(outcome)
    assert len(outcome.kills) == 6
    assert sorted(outcome.struck) == sorted(point for points in POINTS.values() for point in points)
    assert outcome.ledger.acknowledged()["questions"] > 0
    assert report.verdict(outcome).startswith("PASSED")
    assert '"chaos": "verdict"' in list(report.lines(outcome))[-1]


async def world(fired: FiredOn, outcome: campaign.Outcome) -> World:
    return await World.now(fired, outcome.ledger)


async def test_a_deleted_message_is_reported(fired, outcome):
    tenant = outcome.ledger.tenants["chaos-a"]
    messages = table(tenant.cell_id, "conversation", "messages")
    async with fired.postgres() as connection:
        await connection.execute("BEGIN")
        row = await connection.fetchrow(
            f"SELECT id, content FROM {messages} WHERE tenant_id = $1 AND role = 'user' LIMIT 1", tenant.tenant_id
        )
        await connection.execute("COMMIT")
        await connection.execute(f"UPDATE {messages} SET status = 'failed' WHERE id = $1", row["id"])
        try:
            found = await events.check(await world(fired, outcome))
        finally:
            await connection.execute(f"UPDATE {messages} SET status = 'completed' WHERE id = $1", row["id"])
    assert {finding.check for finding in found if finding.subject == "chaos-a"} == {"kafka", "warehouse"}


async def test_an_orphan_topic_and_its_user_are_reported(fired, outcome):
    before = await world(fired, outcome)
    client, gone = admin.AdminClient(before.kafka), names.new_id()
    topic = names.topic(gone, "ai.tasks")
    client.create_topics([admin.NewTopic(topic, 1, 1)])[topic].result(20)
    try:
        found = await orphans.kafka(before)
    finally:
        client.delete_topics([topic])[topic].result(20)
    assert [finding.subject for finding in found] == [topic]


async def test_what_a_gone_cell_leaves_in_postgres_and_on_the_machine_is_reported(fired, outcome):
    before, gone = await world(fired, outcome), names.new_id()
    folder = fired.watched.home.objects / gone
    secret = fired.watched.home.secrets / f"cell-{gone}.json"
    async with fired.postgres() as connection:
        await connection.execute(f"CREATE SCHEMA {gone}_knowledge")
        await connection.execute(f"CREATE ROLE {gone}")
        folder.mkdir()
        secret.write_text("{}")
        try:
            found = {*await orphans.postgres(before), *await orphans.machine(before)}
        finally:
            await connection.execute(f"DROP SCHEMA {gone}_knowledge")
            await connection.execute(f"DROP ROLE {gone}")
            folder.rmdir()
            secret.unlink()
    assert {finding.check for finding in found} == {"postgres", "objects", "secrets"}
    assert len(found) == 4


async def test_a_lost_original_and_a_tenant_that_is_not_there_are_reported(fired, outcome):
    before = await world(fired, outcome)
    tenant = outcome.ledger.tenants["chaos-a"]
    original = next(path for path in (fired.watched.home.objects / tenant.cell_id).rglob("*") if path.is_file())
    content = original.read_bytes()
    original.unlink()
    try:
        missing = await documents.stores(before)
    finally:
        original.write_bytes(content)
    assert [finding.check for finding in missing] == ["objects"]
    del before.tenants[tenant.tenant_id]
    left = {*await orphans.postgres(before), *await orphans.milvus(before), *await orphans.routes(before)}
    assert {"postgres", "identity", "milvus", "routes"} <= {finding.check for finding in left}
    assert isinstance(before.ledger, Ledger)
