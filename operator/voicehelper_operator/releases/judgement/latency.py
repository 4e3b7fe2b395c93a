"""The canary's latency against its peers': the share of requests that are slower than some buckets' bounds.

Each bound has a comparison of its own. The mean of their e-values is one for "slower at none of the bounds", which is
never weaker than to give each its part of alpha; a success needs the evidence of every bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from voicehelper_operator.releases.judgement import comparison, histogram
from voicehelper_operator.releases.judgement.comparison import ComparisonBatch, ComparisonSettings, ComparisonState
from voicehelper_operator.releases.judgement.feed import Feed
from voicehelper_operator.releases.judgement.histogram import Histogram
from voicehelper_operator.releases.judgement.limit import Limit
from voicehelper_operator.releases.judgement.mixture import log_mean_exp
from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.verdict import Verdict, decided


class LatencySettings(ComparisonSettings):
    """The limits are of the share of requests that are slower than a bound."""

    subject: str = "slow answers"
    """What is counted, for the message."""
    acceptable: Limit = Limit(margin=0.02)
    """Evidence for less than this, at every bound, is a success."""


@dataclass(frozen=True, slots=True)
class LatencyBatch:
    """What one scrape added on both sides, over the same time."""

    canary: Histogram
    peers: Histogram


class LatencyState(Frozen):
    """Of all batches so far."""

    feed: Feed = Feed()
    """How the data come in."""
    bounds: tuple[float, ...] = Field(min_length=1)
    """In seconds: what is slower is compared."""
    tests: tuple[ComparisonState, ...]
    """By bound."""


def begin(settings: LatencySettings, bounds: Sequence[float]) -> LatencyState:
    """Without any data. ``bounds``, in seconds, are of the histograms' buckets; ``histogram.bounds_at`` finds them.

    Raises ValueError where there are none, or where what is a success may be a failure, too.
    """
    return LatencyState(bounds=tuple(bounds), tests=tuple(comparison.begin(settings) for _ in bounds))


def updated(state: LatencyState, batch: LatencyBatch | None) -> LatencyState:
    """With the next batch; one that is broken changes nothing but ``feed``."""
    reason = None
    if batch is not None:
        reason = histogram.problem(batch.canary, state.bounds, "the canary")
        reason = reason or histogram.problem(batch.peers, state.bounds, "its peers")
    if batch is None or reason is not None:
        return state.model_copy(update={"feed": state.feed.after(reason, silent=batch is None)})
    tests = tuple(
        comparison.updated(test, ComparisonBatch(batch.canary.slower(bound), batch.peers.slower(bound)))
        for bound, test in zip(state.bounds, state.tests, strict=True)
    )
    silent = not batch.canary.total or not batch.peers.total
    return LatencyState(feed=state.feed.after(None, silent=silent), bounds=state.bounds, tests=tests)


def verdict(state: LatencyState, settings: LatencySettings) -> Verdict:
    """Of what was seen so far; the message tells of the bound with most evidence for worse.

    Raises ValueError where the state was not ``begun_with`` the settings: begin anew.
    """
    if not begun_with(state, settings):
        raise ValueError("the limits or their alternatives are not those that the state was begun with: begin anew")
    bound, worst = max(zip(state.bounds, state.tests, strict=True), key=lambda pair: pair[1].worse.mixture)
    return decided(
        settings,
        state.feed,
        seen=f"{settings.subject} (above {bound:g} s) {comparison.seen(worst)}",
        worse=log_mean_exp([test.worse.mixture for test in state.tests]),
        better=min(test.better.mixture for test in state.tests),
        limits=(str(settings.worse), str(settings.acceptable)),
        missing=comparison.missing(worst),
        few=comparison.few(worst, settings.min_requests),
    )


def begun_with(state: LatencyState, settings: LatencySettings) -> bool:
    """Whether the state is of these limits, and of this version's alternatives."""
    return all(comparison.begun_with(test, settings) for test in state.tests)
