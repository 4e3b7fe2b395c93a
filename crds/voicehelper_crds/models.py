"""All kinds and their parts, in one place to import from."""

from __future__ import annotations

from voicehelper_crds.cells import (
    CanaryStatus,
    Cell,
    CellClass,
    CellClassSpec,
    CellSpec,
    CellStatus,
    CellStores,
    CredentialsStatus,
    Endpoints,
    MaintenanceWindow,
    SliceStatus,
    WorkloadStatus,
)
from voicehelper_crds.moves import TenantMove, TenantMoveSpec, TenantMoveStatus
from voicehelper_crds.plans import Quota, QuotaOverrides, RateLimits, Retention, TenantPlan, TenantPlanSpec
from voicehelper_crds.releases import CellRelease, CellReleaseSpec, CellReleaseStatus, CellReleaseStrategy
from voicehelper_crds.resource import Deletion, Isolation, Resource
from voicehelper_crds.tenants import Admin, Email, Placement, Tenant, TenantSpec, TenantStatus, TenantUsage

KINDS: dict[
    str,
    type[Tenant]
    | type[TenantPlan]
    | type[Cell]
    | type[CellClass]
    | type[CellRelease]
    | type[CellReleaseStrategy]
    | type[TenantMove],
] = {
    kind.kind_name: kind for kind in (Tenant, TenantPlan, Cell, CellClass, CellRelease, CellReleaseStrategy, TenantMove)
}

__all__ = [
    "KINDS",
    "Admin",
    "CanaryStatus",
    "Cell",
    "CellClass",
    "CellClassSpec",
    "CellRelease",
    "CellReleaseSpec",
    "CellReleaseStatus",
    "CellReleaseStrategy",
    "CellSpec",
    "CellStatus",
    "CellStores",
    "CredentialsStatus",
    "Deletion",
    "Email",
    "Endpoints",
    "Isolation",
    "MaintenanceWindow",
    "Placement",
    "Quota",
    "QuotaOverrides",
    "RateLimits",
    "Resource",
    "Retention",
    "SliceStatus",
    "Tenant",
    "TenantMove",
    "TenantMoveSpec",
    "TenantMoveStatus",
    "TenantPlan",
    "TenantPlanSpec",
    "TenantSpec",
    "TenantStatus",
    "TenantUsage",
    "WorkloadStatus",
]
