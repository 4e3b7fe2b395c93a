"""How the users of one cell come to a release, and what is found out about it meanwhile: parts of ``CellRelease``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from voicehelper_crds.meta import Model


class Stage(Model):
    weight: int = Field(ge=1, le=100)
    """Percent of a cell's users that the release gets."""
    seconds: int = Field(default=3600, ge=0, le=30 * 86_400)
    """How long, at least, and ``traffic.timeScale`` of it."""
    max_error_percent: float | None = Field(default=None, ge=0.001, le=99)
    """Share of its HTTP requests that may be answered with 500 and above. Empty: nobody looks."""
    max_p95_milliseconds: Literal[50, 100, 250, 500, 1000, 2500, 5000, 10000] | None = None
    """Within which time 95 % of its requests have to be answered; one of Envoy's buckets. Empty: nobody looks."""
    max_complaints: int | None = Field(default=None, ge=0)
    """How many complaints (``spec.complaints``) a cell may have. Empty: nobody looks."""


class Analysis(Model):
    baseline: Literal["previous", "peerCells"] | None = None
    """Whose errors and times the release is compared with besides, until it has all users: the release that serves in
    the same cell, or the cells that do not have it yet (while there are some). Empty: the stages' limits are all."""
    no_data: Literal["Pause", "Fail"] = "Pause"
    """What happens at the end of a stage in which the release had no requests to judge."""
    inconclusive: Literal["Pause", "Proceed", "Fail"] = "Pause"
    """And where they were too few to say that it is better or worse than it may be."""
    consecutive_error_limit: int = Field(default=10, ge=0, le=1000)
    """How often in a row the figures may not be had; once more is a failure. A stage does not end meanwhile."""
    dry_run: bool = False
    """Only tell what was found: stages end by time alone."""


class Traffic(Model):
    stages: list[Stage] | None = Field(default=None, max_length=20)
    """One after the other. Not given: 10, 25, 50, 75 and 100 % with the limits of docs/upgrades.md. An empty list:
    none, the release takes over as soon as it answers."""
    time_scale: float = Field(default=1.0, ge=0, le=100)
    """What the seconds of all stages are multiplied by."""
    analysis: Analysis = Field(default_factory=Analysis)
    """How it is judged."""


class MetricStatus(Model):
    metric: str
    """What is judged: errors, slow answers, complaints, memory; of a limit or of the baseline."""
    result: Literal["Success", "Failure", "Inconclusive", "NoData", "QueryError"]
    """Better than the limit, worse, neither; or nobody can tell."""
    message: Annotated[str, StringConstraints(max_length=1000)] = ""
    """The figures."""


class StageStatus(Model):
    index: int = 0
    """Which stage, from 0."""
    since: datetime
    """When it began."""
    passed: bool = False
    """Whether all stages are: the release takes the place of the other."""
    down_since: datetime | None = None
    """Since when it does not answer."""
    metrics: list[MetricStatus] = Field(default_factory=list)
    """What is judged, as of the last look."""
    query_errors: int = 0
    """How often in a row the figures could not be had."""
    evidence: str = ""
    """What was counted so far and the counters as they were last read: JSON, for the operator only."""
