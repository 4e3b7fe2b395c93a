"""Usage by minute: the window, the pages, and whose numbers they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_analytics.queries.usage import MAX_RANGE, Minute, Totals, Window, _decode, _encode, usage
from voicehelper_analytics.sink.batches import Record, parse
from voicehelper_analytics.warehouse import Warehouse
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument

WINDOW = Window.parse("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z")


def who(tenant_id: str = "tabcdefghijk") -> TenantContext:
    return TenantContext(tenant_id, "acme", "user-1", "")


def test_by_default_the_last_hour_with_the_running_minute() -> None:
    now = datetime(2026, 11, 24, 9, 30, 45, tzinfo=UTC)
    window = Window.parse("", "", now)
    assert window.start <= now - timedelta(hours=1)
    assert window.end > now


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("yesterday", ""),
        ("2026-11-24T09:00:00Z", "2026-11-24T09:00:00Z"),
        ("2026-11-24T10:00:00Z", "2026-11-24T09:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-11-24T09:00:00Z"),
        ("0001-01-01T00:00:00Z", ""),
        ("9999-12-31T23:59:59Z", ""),
        ("", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_bad_windows_are_refused(start: str, end: str) -> None:
    with pytest.raises(InvalidArgument):
        Window.parse(start, end)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_makes_a_window_fail_otherwise(start: str, end: str) -> None:
    try:
        window = Window.parse(start, end)
    except InvalidArgument:
        return
    assert timedelta() < window.end - window.start <= MAX_RANGE


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)), st.text(max_size=40))
def test_a_cursor_comes_back_as_it_went(minute: datetime, user: str) -> None:
    totals = Totals(0, 0, 0, 0, 0)  # type: ignore[arg-type]
    assert _decode(_encode(Minute(minute, user, totals))) == (minute, user)


@given(st.text(max_size=60))
def test_a_strange_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        _decode(cursor)


async def _fill(warehouse: Warehouse, event: Callable[..., Any]) -> None:
    events = [event(n, tenant_id=t) for t, many in (("tabcdefghijk", 300), ("tzzzzzzzzzzz", 7)) for n in range(many)]
    records = [Record("t", 0, offset, item.to_json().encode()) for offset, item in enumerate(events)]
    await warehouse.insert(list(parse(records).rows.values()), "all")


async def test_pages_hold_every_minute_once_and_totals_are_of_the_whole_window(
    warehouse: Warehouse, event: Callable[..., Any]
) -> None:
    await _fill(warehouse, event)
    seen: list[Minute] = []
    cursor = ""
    while True:
        page = await usage(warehouse, who(), WINDOW, limit=2, cursor=cursor)
        assert page.totals.message_count == 300
        seen += page.items
        cursor = page.next_cursor
        if not cursor:
            break
    assert [item.minute.minute for item in seen] == [4, 3, 2, 1, 0]
    assert sum(item.totals.message_count for item in seen) == 300
    assert all(item.minute.tzinfo == UTC for item in seen)


async def test_a_tenant_sees_only_its_own(warehouse: Warehouse, event: Callable[..., Any]) -> None:
    await _fill(warehouse, event)
    assert (await usage(warehouse, who("tzzzzzzzzzzz"), WINDOW, limit=0, cursor="")).totals.message_count == 7
    nobody = await usage(warehouse, who("tnobodynobod"), WINDOW, limit=0, cursor="")
    assert nobody.totals.message_count == 0
    assert nobody.items == []


async def test_a_tenant_id_is_data_and_never_sql(warehouse: Warehouse, event: Callable[..., Any]) -> None:
    await _fill(warehouse, event)
    page = await usage(warehouse, who("' OR 1=1 --"), WINDOW, limit=0, cursor="")
    assert page.totals.message_count == 0


@pytest.mark.parametrize("limit", [-1, 1001])
async def test_limits_have_bounds(warehouse: Warehouse, limit: int) -> None:
    with pytest.raises(InvalidArgument):
        await usage(warehouse, who(), WINDOW, limit=limit, cursor="")
