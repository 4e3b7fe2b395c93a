"""``TenantPlan``: what tenants may use."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from voicehelper_crds.meta import Model, ResourceName
from voicehelper_crds.resource import Isolation, Resource


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
