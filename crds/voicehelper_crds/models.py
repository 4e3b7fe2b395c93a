"""``Tenant``, ``TenantPlan``, ``Cell`` and ``CellClass``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from voicehelper_crds.meta import Condition, Model, ObjectMeta, ResourceId, ResourceName, Rule, immutable

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Isolation = Literal["shared", "dedicated"]


class Quota(Model):
    users: int = Field(default=100, ge=1)
    """Users of the tenant."""
    documents: int = Field(default=10_000, ge=0)
    """Documents in the knowledge base."""
    storage_bytes: int = Field(default=10 * 2**30, ge=0)
    """Bytes of uploaded documents."""
    tokens_per_day: int = Field(default=1_000_000, ge=0)
    """Model tokens a day (UTC)."""


class QuotaOverrides(Model):
    users: int | None = Field(default=None, ge=1)
    """Instead of the plan's."""
    documents: int | None = Field(default=None, ge=0)
    """Instead of the plan's."""
    storage_bytes: int | None = Field(default=None, ge=0)
    """Instead of the plan's."""
    tokens_per_day: int | None = Field(default=None, ge=0)
    """Instead of the plan's."""


class RateLimits(Model):
    """Requests a minute."""

    user: int = Field(default=100, ge=1)
    """Per user."""
    tenant: int = Field(default=10_000, ge=1)
    """Per tenant."""
    ip: int = Field(default=1_000, ge=1)
    """Per remote address, on public APIs."""
    api_key: int = Field(default=5_000, ge=1)
    """Per API key."""


class Retention(Model):
    message_content_in_analytics: bool = False
    """Whether message texts go to ClickHouse."""
    analytics_days: int = Field(default=90, ge=1, le=3650)
    """Days that message events are kept."""


class TenantPlanSpec(Model):
    display_name: str = Field(default="", max_length=200)
    """For people."""
    isolation: Isolation = "shared"
    """Where tenants of this plan are placed unless they ask for something else."""
    quota: Quota = Field(default_factory=Quota)
    """What a tenant may use."""
    rate_limits: RateLimits = Field(default_factory=RateLimits)
    """How fast."""
    monthly_budget_usd: float = Field(default=0, ge=0)
    """Model cost a month; 0 means unlimited."""
    allowed_models: list[str] = Field(default_factory=lambda: ["local-extractive"])
    """Models that may be called; ``*`` means any."""
    cell_class: ResourceName = "standard"
    """CellClass of the dedicated cells of this plan."""
    retention: Retention = Field(default_factory=Retention)
    """What is kept, and how long."""


class Placement(Model):
    isolation: Isolation | None = None
    """Instead of the plan's."""
    region: str | None = Field(default=None, max_length=63)
    """Only cells of this region."""
    cell: ResourceName | None = None
    """Exactly this cell."""
    group: ResourceName | None = None
    """Tenants of one group share a cell."""


class Admin(Model):
    email: Email
    """The first user of the tenant, with the role ``tenant-admin``."""
    display_name: str = Field(default="", max_length=200)
    """For people."""


class Deletion(Model):
    policy: Literal["Retain", "Archive", "Delete"] = "Retain"
    """What happens to the data when the tenant goes: kept under its id, archived (kept and marked), or
    removed from every store."""
    protect: bool = False
    """Refuse deletion while true."""


class TenantSpec(Model):
    display_name: str = Field(default="", max_length=200)
    """For people."""
    plan_ref: ResourceName
    """Name of the TenantPlan."""
    placement: Placement = Field(default_factory=Placement)
    """Where the tenant may live."""
    admin: Admin
    """Who administers the tenant."""
    quota: QuotaOverrides = Field(default_factory=QuotaOverrides)
    """Instead of the plan's quota, field by field."""
    residency: str | None = Field(default=None, max_length=63)
    """Region that the data may not leave."""
    suspended: bool = False
    """Answer 403 and keep everything."""
    deletion: Deletion = Field(default_factory=Deletion)
    """How the tenant ends."""
    upgrade_policy: Literal["Auto", "Manual"] = "Auto"
    """Whether rollouts may take the tenant's dedicated cell along."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            path=".placement.region",
            message="the region is outside of the tenant's residency",
            cel="!has(self.residency) || !has(self.placement) || !has(self.placement.region)"
            " || self.placement.region == self.residency",
            holds=lambda spec: (
                None in (spec.residency, spec.placement.region) or spec.placement.region == spec.residency
            ),
        ),
        Rule(
            path=".placement.group",
            message="a group is for shared cells; a dedicated cell has one tenant",
            cel="!has(self.placement) || !has(self.placement.group) || !has(self.placement.isolation)"
            " || self.placement.isolation != 'dedicated'",
            holds=lambda spec: spec.placement.group is None or spec.placement.isolation != "dedicated",
        ),
    )


class TenantUsage(Model):
    users: int = 0
    """Users now."""
    documents: int = 0
    """Documents now."""


class TenantStatus(Model):
    conditions: list[Condition] = Field(default_factory=list)
    """Accepted, Placed, SlicesReady, IdentityReady, Routable, Ready, Suspended."""
    phase: str = ""
    """Derived from the conditions, for people."""
    tenant_id: ResourceId | None = None
    """Key of everything that the tenant has; made once."""
    cell: str | None = None
    """Name of the cell that the tenant is placed in."""
    cell_id: ResourceId | None = None
    """Id of that cell."""
    placement_reason: str = ""
    """Why this cell."""
    endpoint: str | None = None
    """Where clients send requests (with ``X-Tenant-ID``)."""
    usage: TenantUsage = Field(default_factory=TenantUsage)
    """What the tenant uses."""
    observed_generation: int = 0
    """Generation that the status speaks of."""


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
    maintenance: MaintenanceWindow = Field(default_factory=MaintenanceWindow)
    """When disruptive work may happen."""
    hibernate: bool = False
    """Stop the workloads and keep everything."""
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


class CellStatus(Model):
    conditions: list[Condition] = Field(default_factory=list)
    """Accepted, SlicesReady, StoreIsolated, Migrated, WorkloadReady, Ready."""
    phase: str = ""
    """Derived from the conditions, for people."""
    cell_id: ResourceId | None = None
    """Key of everything that the cell has; made once."""
    release: str | None = None
    """Release that runs."""
    schema_revision: str | None = None
    """Schema revision that the cell's schemas are at."""
    endpoints: Endpoints = Field(default_factory=Endpoints)
    """Where the router sends requests."""
    slices: list[SliceStatus] = Field(default_factory=list)
    """One entry a store."""
    workloads: list[WorkloadStatus] = Field(default_factory=list)
    """One entry a workload."""
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
    """Replicas of each workload (Kubernetes)."""


class Resource(Model):
    """What all kinds share."""

    kind_name: ClassVar[str]
    plural: ClassVar[str]
    short_names: ClassVar[tuple[str, ...]]

    api_version: Literal["voicehelper.io/v1alpha1"] = "voicehelper.io/v1alpha1"
    """Version of the API."""
    metadata: ObjectMeta
    """Name, labels and what the store keeps."""


class Tenant(Resource):
    """A customer: which plan, where, who administers it, and how it ends."""

    kind_name: ClassVar[str] = "Tenant"
    plural: ClassVar[str] = "tenants"
    short_names: ClassVar[tuple[str, ...]] = ("tn",)

    kind: Literal["Tenant"] = "Tenant"
    """Kind of the resource."""
    spec: TenantSpec
    """What is wanted."""
    status: TenantStatus = Field(default_factory=TenantStatus)
    """What is."""


class TenantPlan(Resource):
    """What the tenants of a plan may use."""

    kind_name: ClassVar[str] = "TenantPlan"
    plural: ClassVar[str] = "tenantplans"
    short_names: ClassVar[tuple[str, ...]] = ("plan",)

    kind: Literal["TenantPlan"] = "TenantPlan"
    """Kind of the resource."""
    spec: TenantPlanSpec = Field(default_factory=TenantPlanSpec)
    """What is wanted."""
    status: dict[str, Any] = Field(default_factory=dict)
    """Not used."""


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


KINDS: dict[str, type[Tenant] | type[TenantPlan] | type[Cell] | type[CellClass]] = {
    kind.kind_name: kind for kind in (Tenant, TenantPlan, Cell, CellClass)
}
