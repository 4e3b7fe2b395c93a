"""The real ClickHouse: what a replay does to the table and to the view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from voicehelper_analytics.sink.batches import parse
from voicehelper_analytics.warehouse import Warehouse, WarehouseError

COUNTS = """
    SELECT (SELECT count() FROM message_events), (SELECT sum(message_count) FROM message_stats_minute),
           (SELECT sum(total_tokens) FROM message_stats_minute)
"""


def rows(record: Callable[..., Any], numbers: range) -> list[tuple[Any, ...]]:
    return list(parse([record(number) for number in numbers]).rows.values())


async def test_a_replayed_batch_counts_once_in_the_table_and_in_the_view(
    warehouse: Warehouse, record: Callable[..., Any]
) -> None:
    batch = rows(record, range(100))
    for _ in range(3):
        await warehouse.insert(batch, "batch-1")
    await warehouse.insert(rows(record, range(100, 110)), "batch-2")
    assert await warehouse.query(COUNTS) == [(110, 110, 550)]


async def test_the_same_rows_under_another_token_would_count_twice(
    warehouse: Warehouse, record: Callable[..., Any]
) -> None:
    """Why the token is recorded before the insert, and events are looked up before a batch is begun."""
    batch = rows(record, range(3))
    await warehouse.insert(batch, "one-token")
    await warehouse.insert(batch, "another-token")
    assert (await warehouse.query(COUNTS))[0][0] == 6


async def test_a_batch_of_many_months_is_one_insert(warehouse: Warehouse, event: Callable[..., Any]) -> None:
    first = event(0).timestamp
    batch = [(*row[:-1], first - timedelta(days=31 * month)) for month in range(120) for row in [_row(event(month))]]
    await warehouse.insert(batch, "months")
    await warehouse.insert(batch, "months")
    assert (await warehouse.query("SELECT sum(message_count) FROM message_stats_minute"))[0][0] <= 120


async def test_events_that_are_there_are_recognised(warehouse: Warehouse, record: Callable[..., Any]) -> None:
    there, others = rows(record, range(10)), rows(record, range(10, 15))
    await warehouse.insert(there, "there")
    assert await warehouse.present([*there, *others]) == {row[0] for row in there}
    assert await warehouse.present(there[9:]) == {there[9][0]}
    assert await warehouse.present([]) == set()


async def test_the_same_event_id_of_another_tenant_is_another_event(
    warehouse: Warehouse, event: Callable[..., Any]
) -> None:
    mine, other = event(1), event(1, tenant_id="tzzzzzzzzzzz")
    await warehouse.insert([_row(mine)], "mine")
    assert await warehouse.present([(mine.event_id, *_row(other)[1:])]) == set()


async def test_a_refused_statement_says_why_in_one_line(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="nothing_here") as caught:
        await warehouse.query("SELECT * FROM nothing_here")
    assert "\n" not in str(caught.value)


async def test_the_schema_can_be_applied_again(warehouse: Warehouse, record: Callable[..., Any]) -> None:
    await warehouse.insert(rows(record, range(4)), "kept")
    await warehouse.install()
    assert (await warehouse.query(COUNTS))[0][:2] == (4, 4)


def _row(envelope: Any) -> tuple[Any, ...]:
    from voicehelper_analytics.sink.batches import Record

    return parse([Record("t", 0, 0, envelope.to_json().encode())]).rows[envelope.event_id]
