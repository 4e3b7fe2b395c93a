"""What ClickHouse lost, or has too often, is put right when a batch is written again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from voicehelper_analytics.sink.batches import parse
from voicehelper_analytics.sink.writer import Writer
from voicehelper_analytics.warehouse import NoRoom, Warehouse

COUNTS = """
    SELECT (SELECT count() FROM message_events), (SELECT uniqExact(event_id) FROM message_events),
           (SELECT sum(message_count) FROM message_stats_minute), (SELECT sum(total_tokens) FROM message_stats_minute),
           (SELECT sum(user_message_count) + sum(assistant_message_count) FROM message_stats_minute)
"""
HEALED = [(10, 10, 10, 50, 10)]
_LOSE = "ALTER TABLE {table} DELETE WHERE 1 SETTINGS mutations_sync = 1"


@pytest.fixture
def rows(record: Callable[..., Any]) -> list[tuple[Any, ...]]:
    return list(parse([record(number) for number in range(10)]).rows.values())


@pytest.mark.parametrize(
    "lost", [(), ("message_events",), ("message_stats_minute",), ("message_events", "message_stats_minute")]
)
async def test_a_batch_whose_token_is_known_and_whose_rows_are_lost(
    warehouse: Warehouse, rows: list[tuple[Any, ...]], lost: tuple[str, ...]
) -> None:
    writer = Writer(warehouse, spare=0)
    await writer.insert(rows, "batch")
    for table in lost:
        await warehouse.command(_LOSE.format(table=table))
    await warehouse.insert(rows, "batch")
    assert (await warehouse.query(COUNTS) == HEALED) is (not lost)  # the token alone does not bring them back
    await writer.again(rows, "batch")
    assert await warehouse.query(COUNTS) == HEALED
    await writer.again(rows, "batch")
    assert await warehouse.query(COUNTS) == HEALED


async def test_a_batch_that_was_never_inserted(warehouse: Warehouse, rows: list[tuple[Any, ...]]) -> None:
    await Writer(warehouse, spare=0).again(rows, "batch")
    assert await warehouse.query(COUNTS) == HEALED


async def test_nothing_is_written_without_room_to_spare(warehouse: Warehouse, rows: list[tuple[Any, ...]]) -> None:
    writer = Writer(warehouse, spare=2**60)
    for write in (writer.insert, writer.again):
        with pytest.raises(NoRoom, match=r"has \d+ MiB left, of which \d+ stay free"):
            await write(rows, "batch")
    assert (await warehouse.query(COUNTS))[0][0] == 0
    writer._spare = 0
    await writer.insert(rows, "batch")
    assert await warehouse.query(COUNTS) == HEALED
