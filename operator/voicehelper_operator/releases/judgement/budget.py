"""A count against what a stage may cost: complaints > 5 per stage. No statistics: each one counts."""

from __future__ import annotations

from pydantic import Field
from voicehelper_crds.meta import Model

from voicehelper_operator.releases.judgement.counts import broken
from voicehelper_operator.releases.judgement.feed import Feed
from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.verdict import Verdict


class BudgetSettings(Model):
    """What may be spent."""

    subject: str = "complaints"
    """What is counted, for the message."""
    limit: int = Field(ge=0)
    """How many there may be; one more is a failure."""
    max_silent: int = Field(default=24, ge=1)
    """After so many batches without an answer, what was seen before them is no success any more."""


class BudgetState(Frozen):
    """Of all batches so far; their order does not matter."""

    feed: Feed = Feed()
    """How the data come in; here an answer of 0 is data."""
    answers: int = Field(default=0, ge=0)
    """Sound answers so far."""
    spent: int = Field(default=0, ge=0)
    """What was counted."""


def updated(state: BudgetState, batch: float | None) -> BudgetState:
    """With what the next batch counted; one that is broken changes nothing but ``feed``."""
    reason = None if batch is None else broken(batch, "them")
    feed = state.feed.after(reason, silent=batch is None)
    if batch is None or reason is not None:
        return state.model_copy(update={"feed": feed})
    return BudgetState(feed=feed, answers=state.answers + 1, spent=state.spent + int(batch))


def verdict(state: BudgetState, settings: BudgetSettings, ended: bool = False) -> Verdict:
    """A failure as soon as there are too many; a success not before the stage has ``ended``."""
    seen = f"{settings.subject}: {state.spent:,}, of which a stage may have {settings.limit:,}"
    if state.spent > settings.limit:
        return Verdict(result="Failure", message=seen)
    if state.feed.problem is not None:
        return Verdict(result="QueryError", message=f"{settings.subject} cannot be judged: {state.feed.problem}")
    if not state.answers:
        return Verdict(result="NoData", message=f"{settings.subject} cannot be judged: nobody has counted them yet")
    if state.feed.silent >= settings.max_silent:
        return Verdict(result="NoData", message=f"{seen}, but nothing in the last {state.feed.silent:,} batches")
    if ended:
        return Verdict(result="Success", message=seen)
    return Verdict(result="Inconclusive", message=f"{seen}, and the stage goes on")
