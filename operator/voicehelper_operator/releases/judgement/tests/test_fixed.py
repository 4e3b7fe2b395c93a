"""Shares, rates and counts against fixed limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicehelper_operator.releases.judgement import budget, rate, threshold, words
from voicehelper_operator.releases.judgement.budget import BudgetSettings, BudgetState
from voicehelper_operator.releases.judgement.counts import Counts
from voicehelper_operator.releases.judgement.rate import RateBatch, RateSettings, RateState
from voicehelper_operator.releases.judgement.threshold import ThresholdSettings, ThresholdState

ONE_PERCENT = ThresholdSettings(limit=0.01)
COUNTS = st.integers(0, 1000).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))


def counted(*batches: Counts | None) -> ThresholdState:
    state = ThresholdState()
    for one in batches:
        state = threshold.updated(state, one)
    return state


@pytest.mark.parametrize(
    ("requests", "bad", "result"),
    [
        (3000, 90, "Failure"),
        (3000, 1, "Success"),
        (3000, 30, "Inconclusive"),
        (10**9, 10**9, "Failure"),
        (10**9, 0, "Success"),
        (10**9, 10_300_000, "Failure"),
        (10**9, 9_700_000, "Success"),
        (50, 0, "Inconclusive"),
        (0, 0, "NoData"),
        (5, 6, "QueryError"),
        (math.nan, 0, "QueryError"),
    ],
)
def test_a_share(requests: float, bad: float, result: str) -> None:
    verdict = threshold.verdict(counted(Counts(requests, bad)), ONE_PERCENT)
    assert verdict.result == result
    assert math.isfinite(verdict.worse) and math.isfinite(verdict.better)


def test_messages_of_a_share() -> None:
    settings = ThresholdSettings(subject="slower than 500 ms", limit=0.05, min_requests=1000)
    failed = threshold.verdict(counted(Counts(900, 135)), settings).message
    assert failed.startswith("slower than 500 ms 15.00 % (135 of 900): more than 5.00 %, e-value 10^")
    assert threshold.verdict(counted(Counts(900, 2)), settings).message.endswith(
        "less than 5.00 %, but the canary has had 900 requests, and a success needs 1,000"
    )
    assert threshold.verdict(counted(), settings).message == (
        "slower than 500 ms cannot be judged: the canary has had no requests"
    )


def test_silence_ends_a_success() -> None:
    good = Counts(3000, 1)
    assert threshold.verdict(counted(good, *[None] * 23), ONE_PERCENT).result == "Success"
    assert threshold.verdict(counted(good, *[Counts(0, 0)] * 24), ONE_PERCENT).result == "NoData"
    assert threshold.verdict(counted(good, *[None] * 24, good), ONE_PERCENT).result == "Success"
    assert threshold.verdict(counted(good, Counts(5, 6)), ONE_PERCENT).result == "QueryError"


@settings(deadline=None)
@given(st.lists(COUNTS), st.randoms(use_true_random=False))
def test_order_and_merging_change_nothing_at_all(batches: list[Counts], random: object) -> None:
    shuffled = list(batches)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    merged = Counts(sum(one.requests for one in batches), sum(one.bad for one in batches))
    assert counted(*batches).total == counted(*shuffled).total == counted(merged).total
    state = counted(*batches)
    assert ThresholdState.model_validate_json(state.model_dump_json(by_alias=True)) == state


def test_a_rate() -> None:
    settings = RateSettings(subject="restarts", limit=2)

    def verdict(*batches: RateBatch | None) -> tuple[str, str]:
        state = RateState()
        for one in batches:
            state = rate.updated(state, one)
            state = RateState.model_validate_json(state.model_dump_json(by_alias=True))
        told = rate.verdict(state, settings)
        return told.result, told.message

    assert verdict() == ("NoData", "restarts cannot be judged: nothing has been watched yet")
    result, message = verdict(RateBatch(0.5, 6), RateBatch(0.5, 8))
    assert result == "Failure" and message.startswith("restarts: 14 in 1 hour: more than 2 per hour, e-value ")
    assert verdict(*[RateBatch(1, 0)] * 6)[0] == "Success"
    assert verdict(RateBatch(1, 2))[0] == "Inconclusive"
    assert verdict(RateBatch(1, 2), RateBatch(0, 1))[1].endswith("there are 1 events in no time")
    for broken in (RateBatch(math.nan, 1), RateBatch(-1, 1), RateBatch(1, -1), RateBatch(1, 0.5)):
        assert verdict(RateBatch(9, 0), broken)[0] == "QueryError"


def test_a_rate_is_watched_for_a_minimum() -> None:
    settings = RateSettings(subject="restarts", limit=20, min_exposure=2)
    told = rate.verdict(rate.updated(RateState(), RateBatch(1, 0)), settings)
    assert told.result == "Inconclusive"
    assert told.message.endswith("but 1 hour was watched, and a success needs 2")


def test_a_budget() -> None:
    settings = BudgetSettings(limit=5)

    def result(*batches: float | None, ended: bool = True) -> str:
        state = BudgetState()
        for one in batches:
            state = budget.updated(state, one)
            state = BudgetState.model_validate_json(state.model_dump_json(by_alias=True))
        return budget.verdict(state, settings, ended).result

    assert result() == result(None) == "NoData"
    assert result(0) == result(2, 3) == "Success"
    assert result(2, 3, ended=False) == "Inconclusive"
    assert result(2, 3, 1, ended=False) == result(2, 3, 1, math.nan) == "Failure"
    assert result(2, -1) == result(2, math.nan) == "QueryError"
    assert result(2, *[None] * 24) == "NoData"


def test_words() -> None:
    assert [words.percent(share) for share in (0, 0.0102, 0.00005, 1)] == ["0.00 %", "1.02 %", "0.005 %", "100.00 %"]
    logs = (0.0, math.log(5200), 1e9, -1e9, math.log(0.25))
    assert [words.e_value(log) for log in logs] == ["1", "5,200", "10^434294482", "0", "0.25"]
