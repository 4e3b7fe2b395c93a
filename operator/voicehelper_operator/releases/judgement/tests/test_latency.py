"""Histograms against those of the peers."""

from __future__ import annotations

import math

import pytest

from voicehelper_operator.releases.judgement import histogram, latency
from voicehelper_operator.releases.judgement.histogram import Histogram
from voicehelper_operator.releases.judgement.latency import LatencyBatch, LatencySettings, LatencyState
from voicehelper_operator.releases.judgement.verdict import Verdict

SETTINGS = LatencySettings()
BOUNDS = (0.1, 0.25, 0.5, 1.0)
USUAL = Histogram(BOUNDS, (60, 90, 97, 99), 100)
SLOW = Histogram(BOUNDS, (40, 70, 85, 95), 100)
TAIL = Histogram(BOUNDS, (60, 90, 91, 91), 100)


def judged(canary: Histogram, peers: Histogram = USUAL, times: int = 10) -> Verdict:
    state = latency.begin(SETTINGS, histogram.bounds_at(USUAL))
    for _ in range(times):
        state = latency.updated(state, LatencyBatch(canary, peers))
        state = LatencyState.model_validate_json(state.model_dump_json(by_alias=True))
    return latency.verdict(state, SETTINGS)


def test_the_bounds_are_those_of_the_peers_quantiles() -> None:
    assert histogram.bounds_at(USUAL) == (0.1, 0.5, 1.0)
    assert histogram.bounds_at(USUAL, (0.95,)) == (0.5,)
    assert histogram.bounds_at(Histogram((0.1, 0.2), (0, 0), 5)) == (0.2,)
    for nothing in (Histogram((0.1,), (0,), 0), Histogram((), (), 5), Histogram((0.1,), (7,), 5)):
        with pytest.raises(ValueError, match="peers"):
            histogram.bounds_at(nothing)


def test_slower_answers_fail_and_the_message_names_the_bound() -> None:
    verdict = judged(SLOW)
    assert verdict.result == "Failure"
    assert verdict.message.startswith(
        "slow answers (above 0.5 s) 15.00 % (150 of 1,000) against 3.00 % (30 of 1,000) of its peers: more than"
    )


def test_a_tail_is_found_where_the_median_is_the_same() -> None:
    verdict = judged(TAIL)
    assert verdict.result == "Failure" and "above 1 s" in verdict.message


def test_the_same_latency_succeeds_once_every_bound_has_evidence() -> None:
    assert judged(USUAL).result == "Inconclusive"
    assert judged(USUAL, times=900).result == "Success"
    assert judged(Histogram(BOUNDS, (55, 90, 97, 99), 100), times=60).result == "Inconclusive"


def test_no_data_and_broken_queries() -> None:
    empty = Histogram(BOUNDS, (0, 0, 0, 0), 0)
    assert judged(USUAL, times=0).result == judged(empty).result == judged(USUAL, empty).result == "NoData"
    for broken in (
        Histogram(BOUNDS, (60, 50, 97, 99), 100),
        Histogram(BOUNDS, (60, 90, 97, 101), 100),
        Histogram(BOUNDS, (60, 90, 97), 100),
        Histogram(BOUNDS, (60, 90, 97, math.nan), 100),
        Histogram(BOUNDS, (-1, 90, 97, 99), 100),
        Histogram((0.1, 0.5, 0.25, 1.0), (60, 90, 97, 99), 100),
        Histogram((0.1, 0.25, 0.6, 1.0), (60, 90, 97, 99), 100),
    ):
        assert judged(broken, times=1).result == judged(USUAL, broken, times=1).result == "QueryError"
    state = latency.begin(SETTINGS, (0.5,))
    state = latency.updated(latency.updated(state, LatencyBatch(USUAL, USUAL)), None)
    assert (state.feed.silent, state.tests[0].canary.requests) == (1, 100)


def test_what_it_is_begun_with() -> None:
    with pytest.raises(ValueError, match="bounds"):
        latency.begin(SETTINGS, ())
    with pytest.raises(ValueError, match="begin anew"):
        latency.verdict(latency.begin(LatencySettings(alpha=0.5), (0.5,)), LatencySettings(acceptable={"margin": 0.1}))
