"""Figures, goals and taking turns."""

from __future__ import annotations

import io
import json

import pytest
from voicehelper_bench.figures import Figure, Report
from voicehelper_bench.goals import Goal
from voicehelper_bench.interleave import interleaved, paired_ratio


def test_a_figure_is_one_line() -> None:
    stream, kept = io.StringIO(), []
    Report("router", stream, kept.append).add("scoped.rps", 4000.123456, "req/s", peer="bare", ratio=0.98765, runs=7)
    assert json.loads(stream.getvalue()) == {
        "bench": "router", "metric": "scoped.rps", "value": 4000.1235, "unit": "req/s", "peer": "bare",
        "ratio": 0.9877, "runs": 7,
    }  # fmt: skip
    assert kept == [Figure(**json.loads(stream.getvalue()))]


def test_a_spread_is_the_median_with_its_quartiles() -> None:
    report = Report("x", io.StringIO())
    report.spread("m", [5.0, 1.0, 4.0, 2.0, 3.0], "ms")
    assert {figure.metric: figure.value for figure in report.figures} == {"m": 3, "m.q1": 2, "m.q3": 4}
    assert {figure.runs for figure in report.figures} == {5}
    with pytest.raises(IndexError):
        report.spread("nothing", [], "ms")


def test_variants_take_turns_in_alternating_order() -> None:
    order: list[str] = []
    samples = interleaved({"a": lambda: len(order), "b": lambda: -len(order)}, 3, between=order.append)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert samples == {"a": [1, 4, 5], "b": [-2, -3, -6]}


def test_ratios_are_those_of_the_same_round() -> None:
    assert paired_ratio([1, 20, 300], [2, 10, 100]) == 2
    with pytest.raises(ValueError, match="3 values"):
        paired_ratio([1, 2, 3], [1])
    with pytest.raises(ValueError, match="0 values"):
        paired_ratio([], [])


@pytest.mark.parametrize(("op", "met"), [("<=", True), (">=", False), ("==", False)])
def test_goals(op: str, met: bool) -> None:
    figure = Figure("b", "m", 5.0, "ms", "peer", 0.5)
    assert Goal("what", "m", op, 6).met(figure) is met
    assert Goal("what", "m", ">=", 0.5, of="ratio").met(figure) is True
    assert Goal("what", "m", ">=", 0.5, of="ratio").met(Figure("b", "m", 5.0, "ms")) is None
