"""Tables, ages and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer
from voicehelper_cli.durations import seconds
from voicehelper_cli.output import age, table

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_columns_are_aligned_and_nothing_is_cut() -> None:
    text = table(["A", "LONG"], [["x" * 300, None], ["y", "two\nlines"]])
    head, first, second = text.splitlines()
    assert head.index("LONG") == first.index("-") == second.index("two lines") == 303


@pytest.mark.parametrize(
    ("elapsed", "text"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(hours=2), "2h"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=2), "2d"),
        (timedelta(days=400), "400d"),
    ],
)
def test_ages(elapsed: timedelta, text: str) -> None:
    assert age(NOW - elapsed, NOW) == text


@pytest.mark.parametrize(
    ("text", "value"), [("60s", 60), ("2m", 120), ("1h30m", 5400), ("500ms", 0.5), ("90", 90), (" 1.5s ", 1.5)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "x", "5x", "m", "-5s", "1h 30m", "s5", "1hh"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        seconds(text)
