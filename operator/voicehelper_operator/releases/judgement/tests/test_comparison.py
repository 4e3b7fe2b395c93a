"""Shares against those of the peers: what is found, what never is, and that a state goes on exactly."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicehelper_operator.releases.judgement import comparison
from voicehelper_operator.releases.judgement.comparison import ComparisonBatch, ComparisonSettings, ComparisonState
from voicehelper_operator.releases.judgement.counts import Counts
from voicehelper_operator.releases.judgement.limit import Limit

SETTINGS = ComparisonSettings()


def batch(n1: float, x1: float, n0: float, x0: float) -> ComparisonBatch:
    return ComparisonBatch(Counts(n1, x1), Counts(n0, x0))


def after(*batches: ComparisonBatch | None, settings: ComparisonSettings = SETTINGS) -> ComparisonState:
    state = comparison.begin(settings)
    for one in batches:
        state = comparison.updated(state, one)
    return state


@st.composite
def sound(draw: st.DrawFn, least: int = 0) -> ComparisonBatch:
    n1, n0 = draw(st.integers(least, 500)), draw(st.integers(least, 500))
    return batch(n1, draw(st.integers(0, n1)), n0, draw(st.integers(0, n0)))


ODD = st.sampled_from([0.0, 1.0, 7.0, 0.5, -3.0, math.nan, math.inf])
ANY = st.one_of(st.none(), sound(), st.builds(batch, ODD, ODD, ODD, ODD))


def test_a_regression_fails_with_its_numbers() -> None:
    verdict = comparison.verdict(after(batch(3040, 31, 3600, 4)), SETTINGS)
    assert verdict.result == "Failure"
    assert verdict.message == (
        "errors 1.02 % (31 of 3,040) against 0.11 % (4 of 3,600) of its peers: "
        f"more than that of the peers, e-value {math.exp(verdict.worse):,.0f} >= 1,000"
    )


def test_equal_shares_succeed_once_there_is_enough() -> None:
    early = comparison.verdict(after(batch(100, 0, 100, 0)), SETTINGS)
    assert early.result == "Inconclusive"
    assert "neither more than that of the peers (e-value 1 of 1,000)" in early.message
    later = comparison.verdict(after(*[batch(100, 0, 100, 0)] * 40), SETTINGS)
    assert later.result == "Success"
    assert "less than that of the peers + 0.50 %, e-value" in later.message


def test_without_a_margin_nothing_is_proven_where_nobody_has_errors() -> None:
    settings = ComparisonSettings(acceptable=Limit(factor=2))
    verdict = comparison.verdict(after(batch(10**6, 0, 10**6, 0), settings=settings), settings)
    assert (verdict.result, verdict.worse, verdict.better) == ("Inconclusive", pytest.approx(0), pytest.approx(0))


def test_a_success_needs_a_minimum_of_requests_on_both_sides() -> None:
    settings = ComparisonSettings(acceptable=Limit(margin=0.2), min_requests=1000)
    verdict = comparison.verdict(after(batch(2000, 0, 900, 0), settings=settings), settings)
    assert verdict.result == "Inconclusive"
    assert verdict.message.endswith("but its peers have had 900 requests, and a success needs 1,000")


def test_peers_without_any_errors_do_not_hide_a_regression() -> None:
    assert comparison.verdict(after(batch(3000, 30, 3000, 0)), SETTINGS).result == "Failure"


def test_all_bad_fails_at_once() -> None:
    assert comparison.verdict(after(batch(100, 100, 100, 0)), SETTINGS).result == "Failure"
    assert comparison.verdict(after(batch(100, 100, 100, 100)), SETTINGS).result == "Inconclusive"


@pytest.mark.parametrize(
    ("n1", "x1", "n0", "x0", "result"),
    [
        (10**9, 10**9, 10**9, 0, "Failure"),
        (10**9, 10**9, 10**9, 10**9, "Inconclusive"),
        (10**9, 0, 1, 0, "Inconclusive"),
        (10**9, 10_000_000, 10**9, 10_000_000, "Success"),
        (1, 1, 10**9, 0, "Failure"),
    ],
)
def test_huge_counts(n1: int, x1: int, n0: int, x0: int, result: str) -> None:
    settings = ComparisonSettings(min_requests=1)
    state = after(*[batch(n1, x1, n0, x0)] * 3, settings=settings)
    verdict = comparison.verdict(state, settings)
    assert verdict.result == result
    assert math.isfinite(verdict.worse) and math.isfinite(verdict.better)
    assert "nan" not in verdict.message and "inf" not in verdict.message


def test_requests_of_one_side_wait_for_the_other_ones() -> None:
    apart = after(batch(50, 9, 0, 0), batch(0, 0, 60, 1), batch(50, 8, 0, 0), batch(0, 0, 40, 0))
    together = after(batch(50, 9, 60, 1), batch(50, 8, 40, 0))
    assert apart.worse == together.worse and apart.canary == together.canary
    assert apart.open_canary.requests == apart.open_peers.requests == 0


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (batch(math.nan, 0, 1, 0), "requests of the canary is nan"),
        (batch(1, 0, math.inf, 0), "requests of its peers is inf"),
        (batch(-5, 0, 1, 0), "requests of the canary fell by 5"),
        (batch(9, -1, 1, 0), "errors of the canary fell by 1"),
        (batch(9, 10, 1, 0), "the canary has 10 errors in 9 requests"),
        (batch(9.5, 1, 1, 0), "9.5 requests of the canary are not a whole number"),
        (batch(1e17, 1, 1, 0), "too many"),
    ],
)
def test_a_broken_query_is_an_error_until_it_is_mended_and_counts_for_nothing(
    broken: ComparisonBatch, reason: str
) -> None:
    good = [batch(100, 0, 100, 0)] * 40
    state = after(*good, broken)
    verdict = comparison.verdict(state, SETTINGS)
    assert verdict.result == "QueryError" and reason in verdict.message
    mended = comparison.updated(state, good[0])
    assert mended == after(*good, good[0])
    assert comparison.verdict(mended, SETTINGS).result == "Success"


def test_no_data_is_never_a_success() -> None:
    assert comparison.verdict(after(), SETTINGS).message == "errors cannot be judged: the canary has had no requests"
    assert comparison.verdict(after(None, batch(0, 0, 0, 0)), SETTINGS).result == "NoData"
    assert comparison.verdict(after(batch(9, 9, 0, 0)), SETTINGS).message.endswith("its peers have had no requests")
    good = [batch(100, 0, 100, 0)] * 40
    assert comparison.verdict(after(*good, *[None] * 23), SETTINGS).result == "Success"
    for nothing in (None, batch(0, 0, 100, 0), batch(100, 0, 0, 0)):
        verdict = comparison.verdict(after(*good, *[nothing] * 24), SETTINGS)
        assert verdict.result == "NoData" and verdict.message.endswith("nothing in the last 24 batches")


def test_broken_queries_are_no_data_either() -> None:
    good, broken = [batch(100, 0, 100, 0)] * 40, batch(math.nan, 0, 0, 0)
    assert comparison.verdict(after(*good, *[broken, None] * 12), SETTINGS).result == "NoData"


def test_a_failure_remains_one_when_the_data_end() -> None:
    bad = batch(3000, 30, 3000, 0)
    assert comparison.verdict(after(bad, *[None] * 30), SETTINGS).result == "Failure"
    assert comparison.verdict(after(bad, batch(math.nan, 0, 0, 0)), SETTINGS).result == "Failure"


def test_limits_that_changed_are_refused() -> None:
    other = ComparisonSettings(worse=Limit(factor=1.5), acceptable=Limit(factor=1.5, margin=0.005))
    assert not comparison.begun_with(after(), other)
    with pytest.raises(ValueError, match="begin anew"):
        comparison.verdict(after(), other)
    with pytest.raises(ValueError, match="must not be less"):
        comparison.begin(ComparisonSettings(worse=Limit(factor=1.5)))


def test_a_state_of_other_alternatives_is_refused() -> None:
    old = after(batch(9, 1, 9, 1))
    old = old.model_copy(update={"worse": old.worse.model_copy(update={"alternatives": 0})})
    assert not comparison.begun_with(old, SETTINGS)
    with pytest.raises(ValueError, match="begin anew"):
        comparison.updated(old, batch(9, 1, 9, 1))


def test_a_factor_and_a_margin_are_tolerated() -> None:
    settings = ComparisonSettings(worse=Limit(factor=2, margin=0.01), acceptable=Limit(factor=2, margin=0.01))
    tolerable, bad = batch(20_000, 400, 20_000, 200), batch(20_000, 1200, 20_000, 200)
    assert comparison.verdict(after(tolerable, settings=settings), settings).result == "Success"
    verdict = comparison.verdict(after(bad, settings=settings), settings)
    assert verdict.result == "Failure" and "more than 2 times that of the peers + 1.00 %" in verdict.message


@settings(deadline=None)
@given(st.lists(ANY, max_size=12))
def test_a_state_that_was_written_and_read_goes_on_exactly(batches: list[ComparisonBatch | None]) -> None:
    state = read = comparison.begin(SETTINGS)
    for one in batches:
        state = comparison.updated(state, one)
        text = json.dumps(read.model_dump(mode="json", by_alias=True))
        read = comparison.updated(ComparisonState.model_validate_json(text), one)
    assert read == state
    assert comparison.verdict(read, SETTINGS) == comparison.verdict(state, SETTINGS)


@settings(deadline=None)
@given(st.lists(sound(least=1), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_batches_does_not_matter(batches: list[ComparisonBatch], random: object) -> None:
    shuffled = list(batches)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = after(*batches), after(*shuffled)
    assert (one.canary, one.peers) == (other.canary, other.peers)
    assert one.worse.log_e == pytest.approx(other.worse.log_e, abs=1e-9)
    assert one.better.log_e == pytest.approx(other.better.log_e, abs=1e-9)


@settings(deadline=None)
@given(sound(least=1), st.integers(1, 5))
def test_batches_of_the_same_split_may_be_merged(one: ComparisonBatch, times: int) -> None:
    merged = batch(*(times * value for side in (one.canary, one.peers) for value in (side.requests, side.bad)))
    assert after(merged).worse.log_e == pytest.approx(after(*[one] * times).worse.log_e, abs=1e-6)


@settings(deadline=None)
@given(st.lists(ANY, max_size=12))
def test_no_success_without_requests_or_after_a_broken_query(batches: list[ComparisonBatch | None]) -> None:
    settings = ComparisonSettings(acceptable=Limit(margin=1), min_requests=1, success_alpha=0.9)
    state = after(*batches, settings=settings)
    verdict = comparison.verdict(state, settings)
    if not state.canary.requests or not state.peers.requests:
        assert verdict.result in ("NoData", "QueryError")
    if state.feed.problem is not None:
        assert verdict.result in ("QueryError", "Failure")
    assert len(state.model_dump_json(by_alias=True)) < 2000
