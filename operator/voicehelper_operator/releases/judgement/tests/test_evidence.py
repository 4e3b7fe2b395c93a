"""The mean of every e-value is at most 1 under its null hypothesis: by exact enumeration, and by many runs."""

from __future__ import annotations

import hashlib
import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicehelper_operator.releases.judgement import mixture, rate, threshold
from voicehelper_operator.releases.judgement.counts import Total
from voicehelper_operator.releases.judgement.evidence import Evidence
from voicehelper_operator.releases.judgement.limit import Limit
from voicehelper_operator.releases.judgement.mixture import Direction
from voicehelper_operator.releases.judgement.rate import RateState

DIRECTIONS = st.sampled_from(["worse", "better"])
SHARES = st.floats(0.0, 1.0)


def binomial(n: int, x: int, p: float) -> float:
    return math.comb(n, x) * p**x * (1 - p) ** (n - x)


def mean(evidence: Evidence, n1: int, p1: float, n0: int, p0: float) -> float:
    """Of the mixture's e-value after one batch."""
    total = 0.0
    for x1, x0 in product(range(n1 + 1), range(n0 + 1)):
        after = evidence.with_batch(Total(requests=n1, bad=x1), Total(requests=n0, bad=x0))
        total += binomial(n1, x1, p1) * binomial(n0, x0, p0) * math.exp(after.mixture)
    return total


@settings(max_examples=60, deadline=None)
@given(DIRECTIONS, st.integers(1, 6), st.integers(1, 6), SHARES, SHARES, st.floats(0.3, 3), st.floats(0, 0.5))
def test_against_peers(
    direction: Direction, n1: int, n0: int, p1: float, p0: float, factor: float, margin: float
) -> None:
    limit = Limit(factor=factor, margin=margin)
    bound = factor * p0 + margin
    if direction == "better" and bound > 1:
        return
    p1 = min(p1, bound) if direction == "worse" else max(p1, bound)
    assert mean(Evidence.none(direction, limit), n1, p1, n0, p0) <= 1 + 1e-9


@pytest.mark.parametrize("direction", ["worse", "better"])
def test_against_peers_over_two_batches_of_which_all_is_different(direction: Direction) -> None:
    limit, total = Limit(factor=1.5, margin=0.05), 0.0
    for x1, x0 in product(range(4), range(6)):
        first = Evidence.none(direction, limit).with_batch(Total(requests=3, bad=x1), Total(requests=5, bad=x0))
        chance = binomial(3, x1, 1.5 * 0.1 + 0.05) * binomial(5, x0, 0.1)
        total += chance * mean(first, 5, 1.5 * 0.4 + 0.05, 2, 0.4)
    assert 0.5 < total <= 1 + 1e-12


@settings(max_examples=60, deadline=None)
@given(DIRECTIONS, st.integers(1, 30), SHARES, st.floats(0.001, 0.999))
def test_against_a_limit(direction: Direction, n: int, p: float, limit: float) -> None:
    p = min(p, limit) if direction == "worse" else max(p, limit)
    values = (math.exp(threshold.log_e(Total(requests=n, bad=x), limit, direction)) for x in range(n + 1))
    assert sum(binomial(n, x, p) * value for x, value in enumerate(values)) <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(DIRECTIONS, st.floats(0.01, 3), st.floats(0.1, 3), st.floats(0, 1))
def test_against_a_rate(direction: Direction, exposure: float, limit: float, part: float) -> None:
    events = exposure * limit * (part if direction == "worse" else 1 + part)
    total = sum(
        math.exp(
            -events
            + x * math.log(events or 1e-300)
            - math.lgamma(x + 1)
            + rate.log_e(RateState(exposure=exposure, events=x), limit, direction)
        )
        for x in range(60)
    )
    assert total <= 1 + 1e-9


@pytest.mark.parametrize("direction", ["worse", "better"])
def test_the_alternatives_are_on_their_side_and_weigh_1_together(direction: Direction) -> None:
    ratios, weights = mixture.RATIOS[direction], [math.exp(log) for log in mixture.LOG_WEIGHTS[direction]]
    assert sum(weights) == pytest.approx(1, abs=1e-12) and sum(weights) <= 1 + 1e-12
    assert all(ratio > 1 if direction == "worse" else 0 < ratio < 1 for ratio in ratios)


def test_other_alternatives_have_another_version() -> None:
    text = repr((mixture.VERSION, mixture.RATIOS)).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "feb1d73d97bbd06a", "raise VERSION, then put the new digest here"


def test_sums_of_logarithms() -> None:
    assert mixture.log_sum_exp([]) == -math.inf
    assert mixture.log_sum_exp([-math.inf, -math.inf]) == -math.inf
    assert mixture.log_sum_exp([1e9, 1e9]) == pytest.approx(1e9 + math.log(2))
    assert mixture.log_mean_exp([0.0, -1e9]) == pytest.approx(-math.log(2))
