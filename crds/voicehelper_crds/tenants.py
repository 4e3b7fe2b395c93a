"""``Tenant``: a customer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from voicehelper_crds.meta import Condition, Model, ResourceId, ResourceName, Rule
from voicehelper_crds.plans import QuotaOverrides
from voicehelper_crds.resource import Deletion, Isolation, Resource

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


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
    held_by: ResourceName | None = None
    """Name of the TenantMove for which requests wait now."""
    endpoint: str | None = None
    """Where clients send requests (with ``X-Tenant-ID``)."""
    usage: TenantUsage = Field(default_factory=TenantUsage)
    """What the tenant uses."""
    observed_generation: int = 0
    """Generation that the status speaks of."""


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
