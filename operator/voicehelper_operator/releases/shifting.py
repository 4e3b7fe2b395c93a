"""Takes the users of a cell from stage to stage, or says why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import ReleasedCell
from voicehelper_crds.traffic import MetricStatus, Stage, StageStatus

from voicehelper_operator.releases import evidence, memory, stages
from voicehelper_operator.releases.observe import Facts, Observation
from voicehelper_operator.releases.traffic import Counters

_MOST_PEERS = 20


def begun(seen: Observation) -> StageStatus:
    """The first stage."""
    return StageStatus(since=seen.now)


def asked(seen: Observation) -> list[str]:
    """Ids of the cells whose requests have to be known for the next step."""
    status = seen.release.status
    judged = [
        (entry, stage)
        for wave in status.waves
        for entry in wave.cells
        if (stage := stages.current(status, entry)) is not None and stages.judged(status, stage)
    ]
    found = [entry.cell_id for entry, _ in judged]
    if found and stages.analysis(status).baseline == "peerCells":
        found += [facts.id for facts in peers(seen)]
    return found


def peers(seen: Observation) -> list[Facts]:
    """Cells that do not have the release, nor try it."""
    target = seen.release.spec.release
    others = [facts for facts in seen.cells.values() if facts.release != target and facts.canary is None]
    return sorted(others, key=lambda item: item.name)[:_MOST_PEERS]


def looked(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell, stage: Stage) -> StageStatus:
    """With what was counted meanwhile and what the tests say of it."""
    assert entry.stage is not None
    new, known = entry.stage.model_copy(), evidence.load(entry.stage.evidence)
    if stages.judged(status, stage):
        new.query_errors = new.query_errors + 1 if seen.traffic.problem else 0
        if entry.cell_id in seen.traffic.canary:
            canary = seen.traffic.canary[entry.cell_id]
            known = evidence.updated(known, stage, canary, _baseline(seen, status, entry))
            new.evidence = evidence.save(known)
    complaints = sum(item.count for item in seen.release.spec.complaints if item.cell == entry.cell)
    new.metrics = evidence.verdicts(known, stage, stages.analysis(status), complaints)
    if (resident := memory.verdict(seen, status, entry)) is not None:
        new.metrics.append(resident)
    if seen.traffic.problem and stages.judged(status, stage):
        new.metrics.insert(0, MetricStatus(metric="query", result="QueryError", message=seen.traffic.problem[:1000]))
    return new


def _baseline(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell) -> Mapping[str, Counters]:
    baseline = stages.analysis(status).baseline
    if baseline is None:
        return {}
    cells = [facts.id for facts in peers(seen)] if baseline == "peerCells" else []
    found = {cell: seen.traffic.serving.get(cell, {}) for cell in cells or [entry.cell_id]}
    return {f"{cell}|{router}": counters for cell, told in found.items() for router, counters in told.items()}


def failing(
    seen: Observation, status: CellReleaseStatus, entry: ReleasedCell, stage: Stage, wave: str
) -> MetricStatus | None:
    """What the release fails by."""
    rules = stages.analysis(status)
    assert entry.stage is not None
    if rules.dry_run:
        return None
    ended = _ended(seen, status, entry, stage) and not stages.approved(seen, wave)
    for metric in entry.stage.metrics:
        match metric.result:
            case "Failure":
                return metric
            case "NoData" if ended and rules.no_data == "Fail":
                return metric
            case "Inconclusive" if ended and rules.inconclusive == "Fail":
                return metric
            case "QueryError" if metric.metric == "query" and entry.stage.query_errors > rules.consecutive_error_limit:
                return metric
    return None


def waits(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell, wave: str) -> tuple[str, str] | None:
    """Why a stage goes on that has lasted long enough: a reason in one word and a sentence."""
    stage = stages.current(status, entry)
    if stage is None or entry.stage is None or not _ended(seen, status, entry, stage):
        return None
    if seen.release.spec.state == "Pause":
        return "Paused", f"cell '{entry.cell}' stays at {stage.weight} %: set spec.state to Run to go on"
    rules = stages.analysis(status)
    if rules.dry_run or stages.approved(seen, wave):
        return None
    for metric in entry.stage.metrics:
        undecided = metric.result == "Inconclusive" and rules.inconclusive == "Pause"
        if undecided or metric.result in ("NoData", "QueryError"):
            way = f"approve '{stages.APPROVAL}' of wave '{wave}' to go on without"
            return metric.result, f"cell '{entry.cell}' stays at {stage.weight} %: {metric.message}; {way}"
    return None


def left(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell) -> float | None:
    """Seconds until the cell has to be looked at again; None where it is in no stage."""
    stage = stages.current(status, entry)
    if stage is None or entry.stage is None:
        return None
    length = stages.length(status, stage)
    often = max(1.0, min(10.0, length.total_seconds() / 20))
    end = (entry.stage.since + length - seen.now).total_seconds()
    return min(often, end) if end > 0 else often


def _ended(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell, stage: Stage) -> bool:
    assert entry.stage is not None
    return seen.now - entry.stage.since >= stages.length(status, stage)


def done(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell, stage: Stage, wave: str) -> bool:
    """Whether the stage is over and nothing holds the cell there."""
    return _ended(seen, status, entry, stage) and waits(seen, status, entry, wave) is None


def after(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell) -> StageStatus:
    """The next stage, or the end of all."""
    assert entry.stage is not None
    kept = evidence.save(evidence.load(entry.stage.evidence).begun_anew())
    following = stages.after(status, entry.stage)
    return following.model_copy(update={"since": seen.now, "evidence": "" if following.passed else kept, "metrics": []})


def down(seen: Observation, entry: ReleasedCell, found: Facts, patience: timedelta) -> str:
    """Why the release has failed that does not answer any more; notes since when it does not."""
    assert entry.stage is not None
    answers = found.canary is not None and found.canary.ready
    since = None if answers else entry.stage.down_since or seen.now
    if since != entry.stage.down_since:
        entry.stage = entry.stage.model_copy(update={"down_since": since})
    if since is None or seen.now - since < patience:
        return ""
    return f"the release does not answer any more{f': {found.trouble}' if found.trouble else ''}"
