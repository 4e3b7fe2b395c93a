"""``Cell``, one copy of the stack, and ``CellClass``, its size."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from voicehelper_crds.meta import Condition, Model, ResourceId, ResourceName, Rule, immutable
from voicehelper_crds.resource import Deletion, Isolation, Resource


class CellStores(Model):
    postgres: Literal["shared", "own"] = "shared"
    """Server of the Postgres slice."""
    kafka: Literal["shared", "own"] = "shared"
    """Cluster of the Kafka slice."""
    milvus: Literal["shared", "own"] = "shared"
    """Server of the Milvus slice."""
    objects: Literal["shared", "own"] = "shared"
    """Object storage of the objects slice."""


class MaintenanceWindow(Model):
    start: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "02:00"
    """UTC, HH:MM."""
    hours: int = Field(default=4, ge=1, le=24)
    """How long it lasts."""


class CellSpec(Model):
    tenancy: Isolation = Field(
        default="shared", json_schema_extra=immutable("a cell is shared or dedicated for life: make another cell")
    )
    """A group of tenants, or one."""
    class_ref: ResourceName = "standard"
    """Name of the CellClass."""
    region: str = Field(
        default="local", max_length=63, json_schema_extra=immutable("a cell stays in its region: make another cell")
    )
    """Where the cell runs."""
    capacity: int = Field(default=100, ge=1, le=1000, json_schema_extra={"omit_default": True})
    """Tenants that fit (a Milvus collection holds at most 1,024 partitions): 100 in a shared cell unless set, 1 in a
    dedicated one."""
    topology: Literal["compact", "expanded"] = "compact"
    """All services in one process, or one deployment each."""
    release: str | None = Field(default=None, max_length=63)
    """Pinned release; empty follows the platform's current one."""
    maintenance: MaintenanceWindow | None = None
    """When a release may be brought to the cell; empty: at any time."""
    hibernate: bool = False
    """Stop the workloads and keep everything; requests are refused until it is false again."""
    idle_after_seconds: int | None = Field(default=None, ge=10, le=2_592_000)
    """Stop the workloads after so long without a request; the next request waits until they run again. Empty: never."""
    cordoned: bool = False
    """Take no new tenants."""
    stores: CellStores = Field(
        default_factory=CellStores,
        json_schema_extra=immutable("a cell's data stays on its servers: make another cell and move the tenants"),
    )
    """Which servers the slices live on."""
    deletion: Deletion = Field(default_factory=lambda: Deletion(policy="Retain"))
    """How the cell ends; refused while tenants are placed in it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            path=".capacity",
            message="a dedicated cell holds one tenant: its capacity is 1",
            cel="!has(self.tenancy) || self.tenancy != 'dedicated' || !has(self.capacity) || self.capacity == 1",
            holds=lambda spec: spec.tenancy != "dedicated" or spec.capacity == 1,
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _dedicated_holds_one(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("tenancy") == "dedicated" and "capacity" not in data:
            return {**data, "capacity": 1}
        return data


class SliceStatus(Model):
    store: str
    """postgres, kafka, milvus, objects."""
    ready: bool
    """Whether the slice was verified."""
    message: str = ""
    """What is missing."""


class WorkloadStatus(Model):
    name: str
    """Name of the workload."""
    ready: bool
    """Whether its probe answers."""
    restarts: int = 0
    """Since it was made."""
    message: str = ""
    """Why it is not ready."""


class Endpoints(Model):
    http: str | None = None
    """host:port of the BFF."""
    grpc: str | None = None
    """host:port of the gRPC services."""


class CanaryStatus(Model):
    release: str
    """The release that runs beside the one that serves; the schemas are at it."""
    endpoints: Endpoints = Field(default_factory=Endpoints)
    """Where it answers; empty while it does not run yet."""
    ready: bool = False
    """Whether it answers: nobody is sent to it before."""
    weight: int = Field(default=0, ge=0, le=100)
    """Percent of the users that the router sends to it, besides requests with ``x-canary: true``."""
    restarts: int = 0
    """How often it has died."""
    leaving_since: datetime | None = None
    """Since when nobody is sent to it any more; it ends as soon as every router knows."""


class CredentialsStatus(Model):
    account: Literal["a", "b"] = "a"
    """The account of each store that the workload uses, or is about to."""
    rotated_at: datetime | None = None
    """When that account's passwords were made, or first seen."""
    rotation: Literal["", "Opening", "Moving", "Closing"] = ""
    """What is under way: the stores get the other account, the workload takes it, the stores lose the old one; empty
    while nothing is."""
    message: str = ""
    """What it waits for."""


class CellStatus(Model):
    conditions: list[Condition] = Field(default_factory=list)
    """Accepted, SlicesReady, StoreIsolated, Migrated, WorkloadReady, RolledOut, EventsStreaming, Ready."""
    phase: str = ""
    """Derived from the conditions, for people."""
    cell_id: ResourceId | None = None
    """Key of everything that the cell has; made once."""
    release: str | None = None
    """Release that runs."""
    schema_revision: str | None = None
    """Schema revision that the cell's schemas are at."""
    schemas_ahead: list[str] = Field(default_factory=list)
    """Schemas that a newer release has expanded, with their revisions; this one left them as they are."""
    endpoints: Endpoints = Field(default_factory=Endpoints)
    """Where the router sends requests."""
    canary: CanaryStatus | None = None
    """The release that is tried beside the one that serves, while there is one."""
    slices: list[SliceStatus] = Field(default_factory=list)
    """One entry a store."""
    workloads: list[WorkloadStatus] = Field(default_factory=list)
    """One entry a workload."""
    hibernation: Literal["", "Idle", "Forced"] = ""
    """Why the cell sleeps: ``Idle`` until the next request, ``Forced`` by ``spec.hibernate``; empty while awake."""
    credentials: CredentialsStatus | None = None
    """The cell's passwords in the stores, and their rotation."""
    tenants: int = 0
    """Tenants placed here."""
    observed_generation: int = 0
    """Generation that the status speaks of."""


class CellClassSpec(Model):
    cpu: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?m?$")] = "1"
    """CPU of the cell's workloads."""
    memory: Annotated[str, StringConstraints(pattern=r"^[0-9]+(Ki|Mi|Gi)$")] = "1Gi"
    """Memory of the cell's workloads."""
    postgres_connections: int = Field(default=10, ge=2, le=500)
    """Connection budget of a cell."""
    replicas: int = Field(default=1, ge=1, le=50)
    """Replicas of each workload (Kubernetes); of an expanded cell's services at least so many."""
    max_replicas: int = Field(default=20, ge=1, le=100)
    """Replicas at most, of each service of an expanded cell."""
    target_requests_per_second: int = Field(default=1000, ge=1, le=1_000_000)
    """Requests a second and replica above which a service of an expanded cell gets more replicas (Kubernetes)."""
    priority_class: str = Field(default="", max_length=63)
    """PriorityClass of the pods (Kubernetes); plans choose it with their class. Empty: the cluster's default."""


class Cell(Resource):
    """One copy of the stack, shared by a group of tenants or dedicated to one."""

    kind_name: ClassVar[str] = "Cell"
    plural: ClassVar[str] = "cells"
    short_names: ClassVar[tuple[str, ...]] = ("vc",)

    kind: Literal["Cell"] = "Cell"
    """Kind of the resource."""
    spec: CellSpec = Field(default_factory=CellSpec)
    """What is wanted."""
    status: CellStatus = Field(default_factory=CellStatus)
    """What is."""


class CellClass(Resource):
    """A size of cells."""

    kind_name: ClassVar[str] = "CellClass"
    plural: ClassVar[str] = "cellclasses"
    short_names: ClassVar[tuple[str, ...]] = ("vcc",)

    kind: Literal["CellClass"] = "CellClass"
    """Kind of the resource."""
    spec: CellClassSpec = Field(default_factory=CellClassSpec)
    """What is wanted."""
    status: dict[str, Any] = Field(default_factory=dict)
    """Not used."""
