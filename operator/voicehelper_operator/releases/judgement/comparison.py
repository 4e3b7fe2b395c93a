"""A share of the canary's requests against the same share of its peers' (errors, as a rule)."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from voicehelper_operator.releases.judgement import words
from voicehelper_operator.releases.judgement.counts import Counts, Total, problem
from voicehelper_operator.releases.judgement.evidence import Evidence
from voicehelper_operator.releases.judgement.feed import Feed
from voicehelper_operator.releases.judgement.limit import Limit
from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.verdict import Criteria, Verdict, decided


class ComparisonSettings(Criteria):
    """The limits may leave a gap in which the test stays inconclusive; it must not be the other way round."""

    worse: Limit = Limit()
    """Evidence for more than this is a failure."""
    acceptable: Limit = Limit(margin=0.005)
    """Evidence for less than this is a success. Without a margin, no success can be found where nobody has errors."""
    min_requests: int = Field(default=100, ge=1)
    """How many requests the canary and its peers must each have had for a success."""


@dataclass(frozen=True, slots=True)
class ComparisonBatch:
    """What one scrape added on both sides, over the same time."""

    canary: Counts
    peers: Counts


class ComparisonState(Frozen):
    """Of all batches so far."""

    feed: Feed = Feed()
    """How the data come in."""
    canary: Total = Total()
    """All of the canary."""
    peers: Total = Total()
    """All of its peers."""
    open_canary: Total = Total()
    """What is not yet in the evidence, because one side had no requests: it waits for the other's next ones."""
    open_peers: Total = Total()
    """The same of the peers."""
    worse: Evidence
    """For worse than the limit ``worse``."""
    better: Evidence
    """For better than the limit ``acceptable``."""


def begin(settings: ComparisonSettings) -> ComparisonState:
    """Without any data. Raises ValueError where what is a success may be a failure, too."""
    worse, acceptable = settings.worse, settings.acceptable
    if acceptable.factor < worse.factor or acceptable.margin < worse.margin:
        raise ValueError(f"what is acceptable ({acceptable}) must not be less than what is worse ({worse})")
    return ComparisonState(worse=Evidence.none("worse", worse), better=Evidence.none("better", acceptable))


def updated(state: ComparisonState, batch: ComparisonBatch | None, bad: str = "errors") -> ComparisonState:
    """With the next batch. One that is broken changes nothing but ``feed``.

    ``bad`` is what the bad requests are called in the message of a broken one. The order of batches does not matter,
    but for rounding, where each has requests of both sides.
    """
    if batch is None:
        return state.model_copy(update={"feed": state.feed.after(None, silent=True)})
    reason = problem(batch.canary, "the canary", bad) or problem(batch.peers, "its peers", bad)
    if reason is not None:
        return state.model_copy(update={"feed": state.feed.after(reason, silent=False)})
    canary, peers = state.open_canary.plus(batch.canary), state.open_peers.plus(batch.peers)
    both = canary.requests > 0 and peers.requests > 0
    return ComparisonState(
        feed=state.feed.after(None, silent=not batch.canary.requests or not batch.peers.requests),
        canary=state.canary.plus(batch.canary),
        peers=state.peers.plus(batch.peers),
        open_canary=Total() if both else canary,
        open_peers=Total() if both else peers,
        worse=state.worse.with_batch(canary, peers) if both else state.worse,
        better=state.better.with_batch(canary, peers) if both else state.better,
    )


def verdict(state: ComparisonState, settings: ComparisonSettings) -> Verdict:
    """Of what was seen so far. Raises ValueError where the state was not ``begun_with`` them: begin anew."""
    if not begun_with(state, settings):
        raise ValueError("the limits or their alternatives are not those that the state was begun with: begin anew")
    return decided(
        settings,
        state.feed,
        seen=f"{settings.subject} {seen(state)}",
        worse=state.worse.mixture,
        better=state.better.mixture,
        limits=(str(settings.worse), str(settings.acceptable)),
        missing=missing(state),
        few=few(state, settings.min_requests),
    )


def begun_with(state: ComparisonState, settings: ComparisonSettings) -> bool:
    """Whether the state is of these limits, and of this version's alternatives. Else its evidence is of no use."""
    now = begin(settings)
    return all(
        (then.limit, then.alternatives) == (fresh.limit, fresh.alternatives)
        for then, fresh in ((state.worse, now.worse), (state.better, now.better))
    )


def seen(state: ComparisonState) -> str:
    """What was observed; there must be requests of both."""
    if missing(state) is not None:
        return "unknown"
    return f"{words.share(state.canary)} against {words.share(state.peers)} of its peers"


def missing(state: ComparisonState) -> str | None:
    """Whose requests there are none of."""
    if not state.canary.requests:
        return "the canary has had no requests"
    return None if state.peers.requests else "its peers have had no requests"


def few(state: ComparisonState, least: int) -> str | None:
    """Whose requests are too few for a success."""
    for whose, total in (("the canary has", state.canary), ("its peers have", state.peers)):
        if total.requests < least:
            return f"{whose} had {total.requests:,} requests, and a success needs {least:,}"
    return None
