"""What the tests of a stage have seen so far, in the status of its cell. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from voicehelper_crds.traffic import Analysis, MetricStatus, Stage

from voicehelper_operator.releases.judgement import budget, comparison, histogram, latency, threshold
from voicehelper_operator.releases.judgement.budget import BudgetSettings, BudgetState
from voicehelper_operator.releases.judgement.comparison import ComparisonBatch, ComparisonSettings, ComparisonState
from voicehelper_operator.releases.judgement.counts import Counts
from voicehelper_operator.releases.judgement.histogram import Histogram
from voicehelper_operator.releases.judgement.increments import increments, summed_increments
from voicehelper_operator.releases.judgement.latency import LatencyBatch, LatencySettings, LatencyState
from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.threshold import ThresholdSettings, ThresholdState
from voicehelper_operator.releases.judgement.verdict import Verdict
from voicehelper_operator.releases.traffic import BOUNDS, Counters

_WHOSE = {"previous": "the release before", "peerCells": "other cells"}


class Evidence(Frozen):
    """Begins anew with each stage, but for the counters."""

    canary: dict[str, Counters] | None = None
    """Counters of the release as they were last read, by router."""
    baseline: dict[str, Counters] | None = None
    """Of what it is compared with."""
    errors: ThresholdState = ThresholdState()
    """Against the stage's limit."""
    slow: ThresholdState = ThresholdState()
    """The same."""
    worse: ComparisonState | None = None
    """Errors against the baseline."""
    slower: LatencyState | None = None
    """Times against it."""

    def begun_anew(self) -> Evidence:
        """For the next stage."""
        return Evidence(canary=self.canary, baseline=self.baseline)


def load(text: str) -> Evidence:
    """As it was saved; what another version of the operator saved begins anew."""
    try:
        found = Evidence.model_validate_json(text) if text else Evidence()
    except ValidationError:
        return Evidence()
    if found.worse is not None and not comparison.begun_with(found.worse, ComparisonSettings()):
        found = found.model_copy(update={"worse": None})
    if found.slower is not None and not latency.begun_with(found.slower, LatencySettings()):
        found = found.model_copy(update={"slower": None})
    return found


def save(evidence: Evidence) -> str:
    """As JSON."""
    return evidence.model_dump_json(by_alias=True, exclude_defaults=True)


def updated(
    evidence: Evidence, stage: Stage, canary: Mapping[str, Counters], baseline: Mapping[str, Counters]
) -> Evidence:
    """With what was counted since the last reading; the first one only tells where counters stand."""
    new: dict[str, object] = {"canary": dict(canary), "baseline": dict(baseline)}
    found = _since(evidence.canary, canary)
    if found is not None:
        new["errors"] = threshold.updated(evidence.errors, _errors(found))
        if stage.max_p95_milliseconds is not None:
            slow = _times(found).slower(stage.max_p95_milliseconds / 1000)
            new["slow"] = threshold.updated(evidence.slow, slow, "slow answers")
    theirs = _theirs(evidence.baseline or {}, baseline)
    if found is not None and theirs is not None:
        worse = evidence.worse or comparison.begin(ComparisonSettings())
        new["worse"] = comparison.updated(worse, ComparisonBatch(_errors(found), _errors(theirs)))
        slower = evidence.slower or _begun(evidence.baseline or {})
        if slower is not None:
            new["slower"] = latency.updated(slower, LatencyBatch(_times(found), _times(theirs)))
    return evidence.model_copy(update=new)


def verdicts(evidence: Evidence, stage: Stage, analysis: Analysis, complaints: int) -> list[MetricStatus]:
    """What every test says now."""
    found = []
    if stage.max_error_percent is not None:
        limit = ThresholdSettings(limit=stage.max_error_percent / 100)
        found.append(_told("errors", threshold.verdict(evidence.errors, limit)))
    if stage.max_p95_milliseconds is not None:
        slow = ThresholdSettings(subject=f"slower than {stage.max_p95_milliseconds} ms", limit=0.05)
        found.append(_told("p95", threshold.verdict(evidence.slow, slow)))
    if stage.max_complaints is not None:
        spent = BudgetState(answers=1, spent=complaints)
        found.append(_told("complaints", budget.verdict(spent, BudgetSettings(limit=stage.max_complaints), ended=True)))
    if analysis.baseline is not None and stage.weight < 100:  # with all users there, nobody is left to compare with
        whose = _WHOSE[analysis.baseline]
        worse = evidence.worse or comparison.begin(ComparisonSettings())
        errors = ComparisonSettings(subject=f"errors, compared with {whose},")
        found.append(_told("errors-to-baseline", comparison.verdict(worse, errors)))
        times = LatencySettings(subject=f"slow answers, compared with {whose},")
        slower = evidence.slower or latency.begin(times, BOUNDS[:1])
        found.append(_told("latency-to-baseline", latency.verdict(slower, times)))
    return found


def _told(metric: str, verdict: Verdict) -> MetricStatus:
    return MetricStatus(metric=metric, result=verdict.result, message=verdict.message[:1000])


def _since(before: Mapping[str, Counters] | None, now: Mapping[str, Counters]) -> Counters | None:
    return summed_increments(before, now) if before is not None else None


def _theirs(before: Mapping[str, Counters], now: Mapping[str, Counters]) -> Counters | None:
    """What a cell counted before it was looked at first is not of this stage."""
    parts = [increments(before.get(name), counters) for name, counters in now.items()]
    return tuple(map(sum, zip(*parts, strict=True))) if parts else None


def _errors(counters: Counters) -> Counts:
    requests, errors, *_ = counters
    return Counts(requests, errors)


def _times(counters: Counters) -> Histogram:
    _, _, timed, *within = counters
    return Histogram(BOUNDS, tuple(within), timed)


def _begun(baseline: Mapping[str, Counters]) -> LatencyState | None:
    """What chooses the bounds is not judged by them: what was counted before the first batch."""
    if not baseline:
        return None
    try:
        bounds = histogram.bounds_at(_times(tuple(map(sum, zip(*baseline.values(), strict=True)))))
    except ValueError:
        return None
    return latency.begin(LatencySettings(), bounds)
