"""``CellRelease``: one release on its way through the cells, in waves; all that it has done is in its status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from voicehelper_crds.cells import MaintenanceWindow
from voicehelper_crds.failure_policy import FailurePolicy
from voicehelper_crds.meta import Condition, LabelValue, Model, ResourceId, ResourceName, Rule, immutable
from voicehelper_crds.resource import Resource
from voicehelper_crds.traffic import MetricStatus, StageStatus, Traffic

ReleaseId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][-A-Za-z0-9._:]*$")]
Who = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Gate = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
_SECONDS = 30 * 86_400


class CellSelector(Model):
    match_labels: dict[str, LabelValue] = Field(default_factory=dict)
    """Labels that a cell must have; none takes every cell."""


class Bake(Model):
    seconds: int = Field(default=600, ge=0, le=_SECONDS)
    """How long a wave is watched once all its cells run the release."""


class Wave(Model):
    name: ResourceName
    """Unique in the release."""
    cell_selector: CellSelector = Field(default_factory=CellSelector)
    """Which cells, of those that no earlier wave has."""
    percent: int = Field(default=100, ge=1, le=100)
    """How many of them, rounded up: at least one."""
    max_cells: int | None = Field(default=None, ge=1)
    """At most so many; empty: as many as the percentage says."""
    sort_key: Literal["Tenants", "Name", "Age"] = "Tenants"
    """Which come first: those with the fewest tenants (and those without any last), by name, or the youngest."""
    max_concurrency: int = Field(default=1, ge=1, le=1000)
    """Cells that are upgraded at once."""
    max_tenants: int | None = Field(default=None, ge=1)
    """Tenants at most in the cells that are upgraded at once; a larger cell goes alone. Empty: any number."""
    before_gates: list[Gate] = Field(default_factory=list, max_length=10)
    """Names of approvals that the wave waits for before it begins."""
    bake: Bake = Field(default_factory=Bake)
    """The watch at its end."""
    after_gates: list[Gate] = Field(default_factory=list, max_length=10)
    """Names of approvals that it waits for after the bake, before the next wave."""


class ReleaseWindow(MaintenanceWindow):
    days: list[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]] = Field(default_factory=list, max_length=7)
    """Days on which it begins; none means every day."""


class Freeze(Model):
    begin: datetime
    """From when on no cell is begun."""
    end: datetime
    """Until when."""
    reason: Annotated[str, StringConstraints(max_length=200)] = ""
    """For people."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            path=".end",
            message="a freeze ends after it begins",
            cel="self.begin < self.end",
            holds=lambda freeze: freeze.begin < freeze.end,
        ),
    )


class Strategy(Model):
    waves: list[Wave] = Field(default_factory=list, max_length=50)
    """In this order; cells that none of them takes form a last one. None given: one cell, then a tenth, then all."""
    failure_policy: FailurePolicy = Field(default_factory=FailurePolicy)
    """What a failed cell means."""
    traffic: Traffic | None = None
    """How the users of a cell come to the release, beside the one that serves. Empty: all, as soon as it answers."""
    progress_deadline_seconds: int = Field(default=600, ge=10, le=86_400)
    """How long one cell may take to run the release, or to go back."""
    windows: list[ReleaseWindow] = Field(default_factory=list, max_length=20)
    """When cells may be begun, besides each cell's own maintenance window; none means at any time."""
    freezes: list[Freeze] = Field(default_factory=list, max_length=50)
    """When none may be."""

    @field_validator("waves")
    @classmethod
    def _named_apart(cls, waves: list[Wave]) -> list[Wave]:
        """The API server knows it from the list's key."""
        if len({wave.name for wave in waves}) != len(waves):
            raise PydanticCustomError("names", "the waves of a release have different names")
        return waves


class Approval(Model):
    wave: ResourceName
    """Of which wave."""
    gate: Gate
    """Which of its gates."""
    actor: Who
    """Who approves."""
    reason: Annotated[str, StringConstraints(max_length=500)] = ""
    """For people."""


class Complaint(Model):
    cell: ResourceName
    """In which cell."""
    count: int = Field(default=1, ge=1, le=1_000_000)
    """How many."""
    actor: Who
    """Who enters them."""
    reason: Annotated[str, StringConstraints(max_length=500)] = ""
    """What people complain of."""


class Skip(Model):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """Why there is no time to wait, such as a security fix."""
    actor: Who
    """Who says so."""


class Rollback(Model):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """Why."""
    actor: Who
    """Who says so."""


class CellReleaseSpec(Model):
    release: ReleaseId = Field(json_schema_extra=immutable("a release is one bundle: make another CellRelease"))
    """The bundle: on Kubernetes an image's digest or tag, on one machine the id of an installed copy of the code."""
    state: Literal["Run", "Pause", "Stop"] = "Run"
    """Go on; begin nothing more; or end it here: cells that are being upgraded go back, those that are done stay."""
    cell_selector: CellSelector = Field(default_factory=CellSelector)
    """Which cells the release is for."""
    strategy: Strategy | None = None
    """How; what it was when the first cell was chosen stays in the status, and holds. Empty, and without a
    ``strategyRef``: one cell, then a tenth, then all."""
    strategy_ref: ResourceName | None = None
    """Name of a CellReleaseStrategy, instead of ``strategy``."""
    approvals: list[Approval] = Field(default_factory=list, max_length=1000)
    """Gates that a person has opened."""
    complaints: list[Complaint] = Field(default_factory=list, max_length=1000)
    """Of people about the release, as an operator enters them."""
    skip: Skip | None = None
    """An emergency: no bakes, gates, windows, freezes and stages. Failures end it as ever."""
    rollback: Rollback | None = None
    """Every cell that has the release goes back to what it ran before."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            path=".strategyRef",
            message="name a strategy or write one: strategyRef and strategy are not given both",
            cel="!has(self.strategy) || !has(self.strategyRef)",
            holds=lambda spec: spec.strategy is None or spec.strategy_ref is None,
        ),
    )


CellPhase = Literal["Pending", "Upgrading", "Shifting", "Updated", "Failed", "RollingBack", "RolledBack", "Skipped"]
WavePhase = Literal["Pending", "Waiting", "Running", "Baking", "Approval", "Done", "Ended"]
ReleasePhase = Literal["Refused", "Queued", "Running", "Held", "RollingBack", "Complete", "RolledBack", "Stopped"]


class ReleasedCell(Model):
    cell: ResourceName
    """Name of the Cell."""
    cell_id: ResourceId
    """Its id: another cell of that name is not meant."""
    previous: ReleaseId
    """The release that it ran before, and goes back to."""
    tenants: int = 0
    """Tenants in it when it was chosen."""
    phase: CellPhase = "Pending"
    """Where it is. ``Failed`` is left again: by going back, or, with ``onFailure: Pause``, when it is well again."""
    since: datetime
    """When that began."""
    begun_at: datetime | None = None
    """When it was told to run the release."""
    restarts: int | None = None
    """How often what runs in it had died when the release answered first: later deaths are the release's."""
    memory_mebibytes: int | None = None
    """The most that what ran before it in the cell had resident since it was begun; where nothing ran, what the
    release had when it answered first. Looked at with ``maxMemoryGrowthPercent`` only."""
    failed_by: MetricStatus | None = None
    """What it failed by, where that was measured."""
    stage: StageStatus | None = None
    """How far the users of the cell have come to the release; empty before, and where there are no stages."""
    message: str = Field(default="", max_length=1000)
    """Why it failed or was left out, or what it waits for."""


class WaveStatus(Model):
    name: ResourceName
    """Of the wave."""
    phase: WavePhase = "Pending"
    """Waiting for a gate; Running; Baking; waiting for an Approval after it; Done; or Ended with the release."""
    since: datetime
    """When that began."""
    cells: list[ReleasedCell] = Field(default_factory=list)
    """In the order in which they are begun."""


class Held(Model):
    reason: Annotated[str, StringConstraints(max_length=63)]
    """One word in CamelCase: Paused, Gate, OutsideWindow, Frozen, Failed, NotReady,
    NoData, Inconclusive, QueryError."""
    actor: Annotated[str, StringConstraints(max_length=200)] = "operator"
    """Who holds it."""
    message: Annotated[str, StringConstraints(max_length=1000)] = ""
    """What to do."""
    since: datetime
    """When that began."""


class Ended(Model):
    cause: Literal["Failure", "Rollback", "Stop"]
    """Cells failed, a person asked for the rollback, or for the end."""
    actor: Annotated[str, StringConstraints(max_length=200)] = "operator"
    """Who decided it."""
    message: Annotated[str, StringConstraints(max_length=1000)] = ""
    """Which cells, or why."""
    metric: str = ""
    """Which metric failed, where one did."""
    value: Annotated[str, StringConstraints(max_length=1000)] = ""
    """What was measured, and against what."""
    at: datetime
    """When it was decided."""


class CellReleaseStatus(Model):
    conditions: list[Condition] = Field(default_factory=list)
    """Accepted, Progressing, Complete."""
    phase: ReleasePhase | Literal[""] = ""
    """Derived from the rest, for people."""
    strategy: Strategy | None = None
    """What holds since the first cell was chosen."""
    waves: list[WaveStatus] = Field(default_factory=list)
    """All cells by wave, as they were chosen."""
    held: Held | None = None
    """Why no cell is begun although some wait."""
    ended: Ended | None = None
    """Why the release does not go further; cells go back since then, by the failure policy or as a person said."""
    skipped: Skip | None = None
    """The emergency that it was, whatever the spec says later."""
    started_at: datetime | None = None
    """When the cells were chosen."""
    finished_at: datetime | None = None
    """When the last one was done."""
    observed_generation: int = 0
    """Generation that the status speaks of."""


class CellRelease(Resource):
    """A release on its way through the cells."""

    kind_name: ClassVar[str] = "CellRelease"
    plural: ClassVar[str] = "cellreleases"
    short_names: ClassVar[tuple[str, ...]] = ("vcr",)

    kind: Literal["CellRelease"] = "CellRelease"
    """Kind of the resource."""
    spec: CellReleaseSpec
    """What is wanted."""
    status: CellReleaseStatus = Field(default_factory=CellReleaseStatus)
    """What is."""


class CellReleaseStrategy(Resource):
    """How releases go through the cells, for those that name it; one that has begun keeps what it was then."""

    kind_name: ClassVar[str] = "CellReleaseStrategy"
    plural: ClassVar[str] = "cellreleasestrategies"
    short_names: ClassVar[tuple[str, ...]] = ("vrs",)

    kind: Literal["CellReleaseStrategy"] = "CellReleaseStrategy"
    """Kind of the resource."""
    spec: Strategy = Field(default_factory=Strategy)
    """Waves, what a failure means, and when cells may be begun."""
    status: dict[str, Any] = Field(default_factory=dict)
    """Not used."""
