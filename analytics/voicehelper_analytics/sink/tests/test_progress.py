"""Progress in a real Postgres."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from voicehelper_analytics.schema.migrate import migrate
from voicehelper_analytics.sink.batches import DeadLetter, Record
from voicehelper_analytics.sink.progress import Gap, Progress

pytestmark = pytest.mark.integration
TOPIC = "cabcdefghijk.conversation.events"
RANGES = {(TOPIC, 0): (5, 9), (TOPIC, 3): (0, 1)}


@pytest.fixture
def progress(pool: Any) -> Progress:
    return Progress(pool)


async def test_a_batch_that_was_begun_comes_back_whole(progress: Progress) -> None:
    skipped = {uuid.uuid4(), uuid.uuid4()}
    begun = await progress.begin(RANGES, skipped)
    pending = await progress.pending()
    assert pending == begun
    assert pending is not None
    assert (pending.ranges, pending.skipped) == (RANGES, skipped)


async def test_tokens_are_never_the_same(progress: Progress) -> None:
    assert (await progress.begin(RANGES, ())).token != (await progress.begin(RANGES, ())).token


async def test_completing_moves_the_positions_and_keeps_what_could_not_be_read(progress: Progress, pool: Any) -> None:
    batch = await progress.begin(RANGES, ())
    dead = DeadLetter(Record(TOPIC, 0, 6, b"\x00\xff"), "not JSON")
    await progress.complete(batch, [dead], [Gap(TOPIC, 3, 0, 1)])
    assert await progress.pending() is None
    assert await progress.positions() == {(TOPIC, 0): 9, (TOPIC, 3): 1}
    rows = await pool.fetch("SELECT partition, record_offset, value FROM analytics.dead_letters ORDER BY partition")
    assert [tuple(row) for row in rows] == [(0, 6, b"\x00\xff"), (3, 0, None)]


async def test_a_gap_is_recorded_once_and_passed(progress: Progress, pool: Any) -> None:
    for _ in range(2):
        await progress.skip([Gap(TOPIC, 1, 10, 50)])
    assert await progress.positions() == {(TOPIC, 1): 50}
    assert await pool.fetchval("SELECT count(*) FROM analytics.dead_letters") == 1


async def test_positions_follow_a_topic_that_was_made_again(progress: Progress) -> None:
    await progress.complete(await progress.begin({(TOPIC, 0): (90, 100)}, ()), ())
    await progress.complete(await progress.begin({(TOPIC, 0): (0, 4)}, ()), ())
    assert await progress.positions() == {(TOPIC, 0): 4}


async def test_positions_of_removed_topics_are_forgotten(progress: Progress) -> None:
    await progress.complete(await progress.begin({(TOPIC, 0): (0, 4), ("other", 0): (0, 2)}, ()), ())
    await progress.forget({TOPIC})
    assert await progress.positions() == {("other", 0): 2}


async def test_migrating_again_changes_nothing(progress: Progress, dsn: str) -> None:
    begun = await progress.begin(RANGES, ())
    await migrate(dsn)
    assert await progress.pending() == begun
