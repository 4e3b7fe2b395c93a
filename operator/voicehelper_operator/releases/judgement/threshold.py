"""A share of the canary's requests against a fixed limit: errors > 1 %, or slower than 500 ms > 5 %.

Against a limit L and for an alternative with c times L's odds, e = c^x / (1 + L (c - 1))^n of x bad requests in n is
the likelihood ratio of the two. For c > 1 its mean is at most 1 while the chance of a bad request is at most L, be it
the same in every request or not; for c < 1 while it is at least L (Waudby-Smith & Ramdas 2024, "Estimating means of
bounded random variables by betting", JRSS B 86). ``evidence`` tells what follows.
"""

from __future__ import annotations

import math

from pydantic import Field

from voicehelper_operator.releases.judgement import words
from voicehelper_operator.releases.judgement.counts import Counts, Total, problem
from voicehelper_operator.releases.judgement.feed import Feed
from voicehelper_operator.releases.judgement.mixture import RATIOS, Direction, mixed
from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.verdict import Criteria, Verdict, decided


class ThresholdSettings(Criteria):
    """One limit: above it a failure, below it a success."""

    limit: float = Field(gt=0, lt=1)
    """Share of requests that may be bad, 0 to 1. "P95 > 500 ms" is 0.05 of requests slower than 500 ms."""
    min_requests: int = Field(default=100, ge=1)
    """How many requests the canary must have had for a success."""


class ThresholdState(Frozen):
    """Of all batches so far; their order does not matter."""

    feed: Feed = Feed()
    """How the data come in."""
    total: Total = Total()
    """What was counted."""


def updated(state: ThresholdState, batch: Counts | None, bad: str = "errors") -> ThresholdState:
    """With the next batch; one that is broken changes nothing but ``feed``."""
    reason = None if batch is None else problem(batch, "the canary", bad)
    if batch is None or reason is not None:
        return state.model_copy(update={"feed": state.feed.after(reason, silent=batch is None)})
    return ThresholdState(feed=state.feed.after(None, silent=not batch.requests), total=state.total.plus(batch))


def verdict(state: ThresholdState, settings: ThresholdSettings) -> Verdict:
    """Of what was seen so far."""
    total, least = state.total, settings.min_requests
    limit = words.percent(settings.limit)
    few = f"the canary has had {total.requests:,} requests, and a success needs {least:,}"
    return decided(
        settings,
        state.feed,
        seen=f"{settings.subject} {words.share(total)}",
        worse=log_e(total, settings.limit, "worse"),
        better=log_e(total, settings.limit, "better"),
        limits=(limit, limit),
        missing=None if total.requests else "the canary has had no requests",
        few=few if total.requests < least else None,
    )


def log_e(total: Total, limit: float, direction: Direction) -> float:
    """Natural logarithm of the e-value for a share that is ``direction`` than ``limit``."""
    return mixed(
        direction,
        (total.bad * math.log(ratio) - total.requests * math.log1p(limit * (ratio - 1)) for ratio in RATIOS[direction]),
    )
