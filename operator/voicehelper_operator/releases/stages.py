"""How far the users of a cell have come to a release that is tried beside the one that serves. Pure."""

from __future__ import annotations

from datetime import timedelta

from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import ReleasedCell
from voicehelper_crds.traffic import Analysis, Stage, StageStatus, Traffic

from voicehelper_operator.releases.observe import Observation

APPROVAL = "traffic"
"""Name of the gate that a person opens for a wave whose stages cannot be judged."""


def shipped() -> list[Stage]:
    """A tenth of the users first, each stage watched for longer than the one before."""
    hour = 3600
    return [
        Stage(weight=10, seconds=2 * hour, max_error_percent=1.0),
        Stage(weight=25, seconds=4 * hour, max_error_percent=0.5),
        Stage(weight=50, seconds=8 * hour, max_p95_milliseconds=500),
        Stage(weight=75, seconds=12 * hour, max_complaints=5),
        Stage(weight=100, seconds=0),
    ]


def settled(traffic: Traffic | None) -> Traffic | None:
    """With the stages that hold."""
    if traffic is None or traffic.stages is not None:
        return traffic
    return traffic.model_copy(update={"stages": shipped()})


def of(status: CellReleaseStatus) -> list[Stage]:
    """The stages; none where the release takes over as soon as it answers."""
    traffic = status.strategy.traffic if status.strategy is not None else None
    return [] if traffic is None or status.skipped is not None else traffic.stages or []


def analysis(status: CellReleaseStatus) -> Analysis:
    """How they are judged."""
    traffic = status.strategy.traffic if status.strategy is not None else None
    return traffic.analysis if traffic is not None else Analysis()


def approved(seen: Observation, wave: str) -> bool:
    """Whether a person said that cells of the wave go on without a judgement."""
    return any(item.wave == wave and item.gate == APPROVAL for item in seen.release.spec.approvals)


def beside(status: CellReleaseStatus, entry: ReleasedCell) -> bool:
    """Whether the release stays beside the one that serves. What has failed there never takes its place."""
    if entry.stage is not None and entry.stage.passed:
        return False
    failed = entry.phase == "Failed" and entry.stage is not None
    return failed or (entry.phase in ("Upgrading", "Shifting", "Failed") and bool(of(status)))


def weight(status: CellReleaseStatus, entry: ReleasedCell) -> int:
    """Percent of the users that it gets there."""
    stage = current(status, entry)
    return stage.weight if stage is not None else 0


def current(status: CellReleaseStatus, entry: ReleasedCell) -> Stage | None:
    """In which stage a cell is; None where it is in none."""
    stages = of(status)
    if entry.phase != "Shifting" or entry.stage is None or entry.stage.passed or not stages:
        return None
    return stages[entry.stage.index]


def length(status: CellReleaseStatus, stage: Stage) -> timedelta:
    """How long it lasts at least."""
    traffic = status.strategy.traffic if status.strategy is not None else None
    return timedelta(seconds=stage.seconds * (traffic.time_scale if traffic is not None else 1))


def judged(status: CellReleaseStatus, stage: Stage) -> bool:
    """Whether anything of it follows from requests."""
    limits = stage.max_error_percent, stage.max_p95_milliseconds, analysis(status).baseline
    return any(limit is not None for limit in limits)


def after(status: CellReleaseStatus, stage: StageStatus) -> StageStatus:
    """The next stage, begun when this one was to end; the last one is followed by the end."""
    if stage.index + 1 == len(of(status)):
        return stage.model_copy(update={"passed": True, "evidence": ""})
    return stage.model_copy(update={"index": stage.index + 1})
