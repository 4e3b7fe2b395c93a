"""Events of which nobody knows what they are a share of, against a fixed number of them per unit: restarts an hour.

Against a rate of L events per unit and for an alternative of c L, e = c^x exp(-L u (c - 1)) of x events in u units is
the likelihood ratio of two Poisson processes, whose rate may change over time. ``evidence`` tells what follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import Field

from voicehelper_operator.releases.judgement.counts import broken
from voicehelper_operator.releases.judgement.feed import Feed
from voicehelper_operator.releases.judgement.mixture import RATIOS, Direction, mixed
from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.verdict import Criteria, Verdict, decided


class RateSettings(Criteria):
    """One limit: above it a failure, below it a success."""

    limit: float = Field(gt=0)
    """Events per unit that there may be."""
    unit: str = "hour"
    """What ``limit`` and the exposure of batches are in, for the message."""
    min_exposure: float = Field(default=0.0, ge=0)
    """How many units must have been watched for a success."""


@dataclass(frozen=True, slots=True)
class RateBatch:
    """How many units were watched, and how many events they had, as a query told it: they may be broken."""

    exposure: float
    events: float


class RateState(Frozen):
    """Of all batches so far."""

    feed: Feed = Feed()
    """How the data come in."""
    exposure: float = Field(default=0.0, ge=0)
    """Units watched."""
    events: int = Field(default=0, ge=0)
    """Events in them."""


def updated(state: RateState, batch: RateBatch | None) -> RateState:
    """With the next batch; one that is broken changes nothing but ``feed``."""
    reason = None if batch is None else _problem(batch)
    if batch is None or reason is not None:
        return state.model_copy(update={"feed": state.feed.after(reason, silent=batch is None)})
    return RateState(
        feed=state.feed.after(None, silent=not batch.exposure),
        exposure=state.exposure + batch.exposure,
        events=state.events + int(batch.events),
    )


def verdict(state: RateState, settings: RateSettings) -> Verdict:
    """Of what was seen so far."""
    limit, least = f"{settings.limit:g} per {settings.unit}", settings.min_exposure
    few = f"{state.exposure:.3g} {settings.unit} was watched, and a success needs {least:g}"
    return decided(
        settings,
        state.feed,
        seen=f"{settings.subject}: {state.events:,} in {state.exposure:.3g} {settings.unit}",
        worse=log_e(state, settings.limit, "worse"),
        better=log_e(state, settings.limit, "better"),
        limits=(limit, limit),
        missing=None if state.exposure else "nothing has been watched yet",
        few=few if state.exposure < least else None,
    )


def log_e(state: RateState, limit: float, direction: Direction) -> float:
    """Natural logarithm of the e-value for a rate that is ``direction`` than ``limit``."""
    return mixed(
        direction,
        (state.events * math.log(ratio) - limit * state.exposure * (ratio - 1) for ratio in RATIOS[direction]),
    )


def _problem(batch: RateBatch) -> str | None:
    if not math.isfinite(batch.exposure) or batch.exposure < 0:
        return f"the time watched is {batch.exposure}"
    if not batch.exposure and batch.events:
        return f"there are {batch.events:g} events in no time"
    return broken(batch.events, "events")
