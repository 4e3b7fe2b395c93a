"""Counters that begin anew."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicehelper_operator.releases.judgement.increments import increments, summed_increments


def test_of_one_process() -> None:
    assert increments((100, 3), (160, 4)) == (60, 1)
    assert increments(None, (160, 4)) == (0, 0)
    assert increments((100, 3), (20, 0)) == (20, 0)
    assert increments((100,), (20, 0)) == (20, 0)


def test_one_counter_that_fell_tells_of_all() -> None:
    assert increments((100, 3), (160, 1)) == (160, 1)


def test_a_broken_reading_stays_broken() -> None:
    assert math.isnan(increments((100,), (math.nan,))[0]) and math.isnan(increments((math.nan,), (100,))[0])
    assert increments((5,), (-1,)) == (-1,)


def test_over_processes() -> None:
    before = {"a": (100, 3), "b": (50, 1), "gone": (9, 9)}
    now = {"a": (110, 3), "b": (5, 0), "new": (7, 2)}
    assert summed_increments(before, now) == (22, 2)
    assert summed_increments(before, {}) is None
    with pytest.raises(ValueError, match="zip"):
        summed_increments({}, {"a": (1, 2), "b": (1,)})


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1), st.sets(st.integers(0, 50)))
def test_nothing_is_lost_but_between_a_reading_and_the_end(counted: list[int], ends: set[int]) -> None:
    value, before, total, seen = 0, None, 0, 0
    for step, count in enumerate(counted):
        value = count if step in ends else value + count
        if before is not None:
            seen += int(increments((before,), (value,))[0])
            hidden = step in ends and value >= before
            total += value - before if hidden else count
        before = value
    assert seen == total
