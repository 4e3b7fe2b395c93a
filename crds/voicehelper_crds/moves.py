"""``TenantMove``: one tenant on its way to another cell; all that it has done is in its status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from voicehelper_crds.meta import Condition, Model, ResourceId, ResourceName, Rule, immutable
from voicehelper_crds.resource import Isolation, Resource


class MoveTarget(Model):
    cell: ResourceName | None = None
    """Exactly this cell, also where it is cordoned. Empty: the placement decides, and never takes the present one."""
    isolation: Isolation | None = None
    """``dedicated``: a cell of the tenant's own, which is made; ``shared``: one with others. Empty: as the tenant's."""
    region: str | None = Field(default=None, max_length=63)
    """Only a cell of this region. Empty: as the tenant's."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            path=".cell",
            message="name a cell, or say what kind of cell it should be",
            cel="!has(self.cell) || (!has(self.isolation) && !has(self.region))",
            holds=lambda target: target.cell is None or (target.isolation is None and target.region is None),
        ),
    )


class TenantMoveSpec(Model):
    tenant: ResourceName = Field(json_schema_extra=immutable("a move is one tenant's: make another TenantMove"))
    """Name of the Tenant."""
    target: MoveTarget = Field(
        default_factory=MoveTarget, json_schema_extra=immutable("a move goes to one cell: make another TenantMove")
    )
    """Where to."""
    state: Literal["Run", "Abort"] = "Run"
    """Go on; or, before the switch, end it so that no trace is left in the target."""
    max_pause_seconds: int = Field(default=5, ge=1, le=25)
    """How long requests may wait at the switch. What takes longer is given up, and tried again later."""
    grace_seconds: int = Field(default=3600, ge=0, le=30 * 86_400)
    """How long the data stays in the old cell after the switch, read-only. Another move of the tenant ends it."""
    cleanup: Literal["Delete", "Retain"] = "Delete"
    """What becomes of it then. A cell that was the tenant's own goes with it."""


MovePhase = Literal[
    "Queued", "Refused", "Preparing", "Copying", "Holding", "Draining", "Grace", "Cleaning", "Complete", "Aborting",
    "Aborted",
]  # fmt: skip


class MoveEnd(Model):
    cell: ResourceName
    """Name of the cell."""
    cell_id: ResourceId
    """Its id."""


class MoveVerification(Model):
    tables: int = 0
    """Tables whose rows were compared by checksum."""
    rows: int = 0
    """Rows in them."""
    vectors: int = 0
    """Vectors that were compared."""
    objects: int = 0
    """Objects that were compared, by size or checksum."""
    at: datetime
    """When."""


class TenantMoveStatus(Model):
    conditions: list[Condition] = Field(default_factory=list)
    """Accepted, Verified, Switched, Complete."""
    phase: MovePhase | Literal[""] = ""
    """Where it is."""
    message: Annotated[str, StringConstraints(max_length=1000)] = ""
    """What it waits for, or what went wrong the last time."""
    tenant_id: ResourceId | None = None
    """Id of the tenant: another one of that name is not meant."""
    source: MoveEnd | None = None
    """Where it lived when the move began."""
    target: MoveEnd | None = None
    """Where it goes."""
    made_cell: bool = False
    """Whether the target was made for this move."""
    rounds: int = 0
    """Times that the target was brought up to the source."""
    lag: int = 0
    """Rows, vectors and objects that the last round brought or removed: what was behind."""
    attempts: int = 0
    """Times that requests were held."""
    pause_seconds: float | None = None
    """How long requests waited at the switch."""
    verification: MoveVerification | None = None
    """What was compared right before the switch."""
    unfinished: int = 0
    """Answers that the source was writing at the switch and still writes."""
    started_at: datetime | None = None
    """When source and target were known."""
    held_at: datetime | None = None
    """Since when requests wait."""
    switched_at: datetime | None = None
    """When the tenant's home became the target."""
    finished_at: datetime | None = None
    """When all was done."""
    observed_generation: int = 0
    """Generation that the status speaks of."""


class TenantMove(Resource):
    """A tenant on its way to another cell."""

    kind_name: ClassVar[str] = "TenantMove"
    plural: ClassVar[str] = "tenantmoves"
    short_names: ClassVar[tuple[str, ...]] = ("vmove",)

    kind: Literal["TenantMove"] = "TenantMove"
    """Kind of the resource."""
    spec: TenantMoveSpec
    """What is wanted."""
    status: TenantMoveStatus = Field(default_factory=TenantMoveStatus)
    """What is."""
