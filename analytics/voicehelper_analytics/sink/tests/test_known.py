"""Which events ClickHouse has: over the real one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from voicehelper_analytics.sink.batches import parse
from voicehelper_analytics.sink.known import Known
from voicehelper_analytics.warehouse import Warehouse

Rows = list[tuple[Any, ...]]


@pytest.fixture
def rows(record: Callable[..., Any]) -> Callable[[int, int], Rows]:
    return lambda first, end: list(parse([record(number) for number in range(first, end)]).rows.values())


def ids(rows: Rows) -> set[UUID]:
    return {row[0] for row in rows}


@pytest.fixture
def asked(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each question to ClickHouse was about."""
    numbers: list[int] = []
    ask = warehouse.present

    async def present(rows: Any) -> set[UUID]:
        numbers.append(len(rows))
        return await ask(rows)

    monkeypatch.setattr(warehouse, "present", present)
    return numbers


async def test_an_empty_table_is_not_asked(
    warehouse: Warehouse, rows: Callable[[int, int], Rows], asked: list[int]
) -> None:
    known = Known(warehouse)
    await known.open()
    batch = rows(0, 10)
    assert await known.present(batch) == set()
    await warehouse.insert(batch, "one")
    known.add(batch)
    assert await known.present(rows(5, 20)) == ids(rows(5, 10))
    assert asked == []


async def test_what_another_process_inserted_is_asked_for(
    warehouse: Warehouse, rows: Callable[[int, int], Rows], asked: list[int]
) -> None:
    await warehouse.insert(rows(0, 10), "before")
    known = Known(warehouse)
    await known.open()
    assert await known.present(rows(5, 20)) == ids(rows(5, 10))
    assert asked == [5]
    assert await known.present(rows(10, 20)) == set()
    assert asked == [5]


async def test_before_it_is_opened_everything_is_asked_for(
    warehouse: Warehouse, rows: Callable[[int, int], Rows], asked: list[int]
) -> None:
    await warehouse.insert(rows(0, 10), "before")
    assert await Known(warehouse).present(rows(9, 30)) == ids(rows(9, 10))
    assert asked == [21]


async def test_what_was_forgotten_is_asked_for(
    warehouse: Warehouse, rows: Callable[[int, int], Rows], asked: list[int]
) -> None:
    known = Known(warehouse, most=10)
    await known.open()
    for number in range(0, 40, 10):
        await warehouse.insert(rows(number, number + 10), f"batch-{number}")
        known.add(rows(number, number + 10))
    assert await known.present(rows(0, 50)) == ids(rows(0, 40))
    assert asked == [31]


async def test_no_clock_has_to_be_right(
    warehouse: Warehouse, rows: Callable[[int, int], Rows], asked: list[int]
) -> None:
    """A clock that was an hour ahead left a row in the future: everything before it is asked for."""
    ahead = [(*row[:-1], row[-1] + timedelta(hours=1)) for row in rows(0, 1)]
    await warehouse.insert([*ahead, *rows(1, 5)], "before")
    known = Known(warehouse)
    await known.open()
    assert await known.present(rows(1, 10)) == ids(rows(1, 5))
    assert asked == [9]


async def test_a_new_session_forgets_what_may_not_have_been_inserted(
    warehouse: Warehouse, rows: Callable[[int, int], Rows]
) -> None:
    known = Known(warehouse)
    await known.open()
    known.add(rows(0, 5))  # the insert failed
    await known.open()
    assert await known.present(rows(0, 5)) == set()
