"""Records to rows: the same rows in the same order, whatever came and in whatever order it was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_analytics.schema import clickhouse
from voicehelper_analytics.sink.batches import Record, parse
from voicehelper_analytics.sink.service import ranges_of


def column(row: tuple[Any, ...], name: str) -> Any:
    return row[clickhouse.COLUMNS.index(name)]


def test_a_message_becomes_a_row_without_its_content(event: Callable[..., Any], record: Callable[..., Record]) -> None:
    sent = event(1, cost_usd=Decimal("0.00125"))
    parsed = parse([record(7, value=sent.to_json().encode())])
    row = parsed.rows[sent.event_id]
    assert column(row, "tenant_id") == "tabcdefghijk"
    assert column(row, "role") == "assistant"
    assert column(row, "message_length") == len("Where is my parcel?")
    assert column(row, "cost_usd") == Decimal("0.0012")
    assert "Where is my parcel?" not in map(str, row)


def test_other_events_are_passed_over_and_tombstones_kept_aside(event: Callable[..., Any]) -> None:
    created = json.loads(event().to_json()) | {
        "event_type": "conversation.created",
        "payload": {"conversation_id": "8d1f6b0a-1f5c-4a43-8f0e-0a3c7f2f0b11", "title": "Parcels"},
    }
    records = [Record("t", 0, 0, None), Record("t", 0, 1, json.dumps(created).encode())]
    parsed = parse(records)
    assert not parsed.rows
    assert [letter.record.offset for letter in parsed.dead] == [0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": "1969-12-31T00:00:00Z"}, "year"),
        ({"timestamp": "2300-01-01T00:00:00Z"}, "year"),
        ({"tenant_id": ""}, "tenant_id"),
        ({"event_version": 99}, "version"),
        ({"event_type": "conversation.message.edited"}, "not known"),
        ({"payload": None}, "MessageSent"),
    ],
)
def test_what_cannot_be_stored_is_kept_aside_with_the_reason(
    event: Callable[..., Any], change: dict[str, Any], reason: str
) -> None:
    raw = json.dumps(json.loads(event().to_json()) | change).encode()
    parsed = parse([Record("t", 0, 3, raw)])
    assert not parsed.rows
    (dead,) = parsed.dead
    assert reason in dead.reason
    assert dead.record.value == raw


@pytest.mark.parametrize("cost", ["1e9", "1e400", "-1", "NaN", "Infinity"])
def test_a_cost_that_clickhouse_cannot_hold_is_kept_aside(event: Callable[..., Any], cost: str) -> None:
    document = json.loads(event().to_json())
    document["payload"]["cost_usd"] = cost
    assert len(parse([Record("t", 0, 0, json.dumps(document).encode())]).dead) == 1


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_sink(raw: bytes) -> None:
    parsed = parse([Record("t", 0, 0, raw)])
    assert len(parsed.rows) + len(parsed.dead) <= 1


@given(st.data())
def test_rows_depend_on_the_records_and_not_on_the_order_of_reading(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 20), max_size=30))
    make = _raw
    records = [Record("t", data.draw(st.integers(0, 2)), offset, make(number)) for offset, number in enumerate(numbers)]
    shuffled = data.draw(st.permutations(records))
    assert list(parse(records).rows.items()) == list(parse(shuffled).rows.items())
    assert len(parse(records).rows) == len(set(numbers))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 1000)), unique=True, max_size=50))
def test_ranges_cover_every_record(places: list[tuple[str, int, int]]) -> None:
    records = [Record(topic, part, offset, None) for topic, part, offset in places]
    ranges = ranges_of(records)
    assert all(ranges[topic, part][0] <= offset < ranges[topic, part][1] for topic, part, offset in places)
    assert set(ranges) == {(topic, part) for topic, part, _ in places}


def _raw(number: int) -> bytes:
    document = {
        "event_id": f"00000000-0000-4000-8000-{number:012d}",
        "event_type": "conversation.message.sent",
        "event_version": 1,
        "aggregate_id": "a",
        "aggregate_type": "conversation",
        "tenant_id": "tabcdefghijk",
        "user_id": "u",
        "timestamp": "2026-11-24T09:00:00Z",
        "payload": {
            "conversation_id": f"00000000-0000-4000-8000-{number:012d}",
            "message_id": f"00000000-0000-4000-8000-{number:012d}",
            "role": "user",
            "content": "x" * number,
        },
    }
    return json.dumps(document).encode()
