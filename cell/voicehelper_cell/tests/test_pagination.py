"""Cursors: what was made comes back, what was not made is refused and nothing else happens."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_cell import pagination
from voicehelper_core.errors import InvalidArgument, NotFound

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=ZONES), st.uuids())
def test_a_key_of_time_and_id_comes_back(moment: datetime, identifier: uuid.UUID) -> None:
    cursor = pagination.encode(moment.isoformat(), identifier)
    assert pagination.decode_time(cursor) == (moment, identifier)
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?#% "), "it stands in a query as it is"


@given(st.integers(0, 10**18 - 1))
def test_a_number_comes_back(number: int) -> None:
    assert pagination.decode_number(pagination.encode(number)) == number


@given(st.text(min_size=1) | st.binary(min_size=1).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_refused(cursor: str) -> None:
    for decode in (pagination.decode_time, pagination.decode_number):
        with pytest.raises(InvalidArgument, match="cursor"):
            decode(cursor)


@pytest.mark.parametrize(
    "key",
    [[], [1], ["1", "2"], {"a": "1"}, [None], ["-1"], ["1e9"], ["٣"], ["²"], [""], ["9" * 19], ["1" * 5000], "1", None],
)
def test_a_forged_number_is_refused(key: object) -> None:
    with pytest.raises(InvalidArgument):
        pagination.decode_number(base64.urlsafe_b64encode(json.dumps(key).encode()).decode())


@pytest.mark.parametrize(
    "key",
    [
        ["2026-01-01T00:00:00", str(uuid.uuid4())],
        ["2026-01-01T00:00:00+00:00", "1; drop table conversations"],
        ["9999999-01-01T00:00:00+00:00", str(uuid.uuid4())],
        ["now()", str(uuid.uuid4())],
    ],
)
def test_a_forged_time_is_refused(key: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        pagination.decode_time(pagination.encode(*key))


def test_deep_json_is_refused() -> None:
    for raw in (b"[" * 100_000, b"9" * 100_000):
        with pytest.raises(InvalidArgument):
            pagination.decode_number(base64.urlsafe_b64encode(raw).decode())


def test_no_cursor_is_the_first_page() -> None:
    assert pagination.decode_time("") is None
    assert pagination.decode_number("") is None


@given(st.integers())
def test_limits(limit: int) -> None:
    if limit == 0:
        assert pagination.checked_limit(limit) == pagination.DEFAULT_LIMIT
    elif 1 <= limit <= pagination.MAX_LIMIT:
        assert pagination.checked_limit(limit) == limit
    else:
        with pytest.raises(InvalidArgument, match="limit"):
            pagination.checked_limit(limit)


@given(st.text())
def test_what_is_no_id_names_nothing(text: str) -> None:
    try:
        expected = uuid.UUID(text)
    except ValueError:
        with pytest.raises(NotFound, match="conversation"):
            pagination.identifier(text, "conversation")
    else:
        assert pagination.identifier(text, "conversation") == expected


def test_times_compare_whatever_their_zone() -> None:
    cursor = pagination.encode(datetime(2026, 1, 1, tzinfo=UTC).isoformat(), uuid.UUID(int=1))
    assert pagination.decode_time(cursor) == (datetime(2026, 1, 1, tzinfo=UTC), uuid.UUID(int=1))
