"""The resources of ``voicehelper.io/v1alpha1``: the contract of everything else.

The pydantic models here are the only source: CRD YAML is generated from them (``generate.py``) and the
embedded resource store validates with them (``validation.py``). This package imports nothing of ours.
"""

from voicehelper_crds.meta import Condition, ObjectMeta, OwnerReference, holds
from voicehelper_crds.models import (
    KINDS,
    Cell,
    CellClass,
    CellClassSpec,
    CellRelease,
    CellReleaseSpec,
    CellReleaseStatus,
    CellReleaseStrategy,
    CellSpec,
    CellStatus,
    Resource,
    Tenant,
    TenantMove,
    TenantMoveSpec,
    TenantMoveStatus,
    TenantPlan,
    TenantPlanSpec,
    TenantSpec,
    TenantStatus,
)

GROUP = "voicehelper.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
PAUSED = f"{GROUP}/paused"
"""Annotation of a Tenant or a Cell: ``"true"`` keeps the operator from changing anything for it."""

__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "PAUSED",
    "VERSION",
    "Cell",
    "CellClass",
    "CellClassSpec",
    "CellRelease",
    "CellReleaseSpec",
    "CellReleaseStatus",
    "CellReleaseStrategy",
    "CellSpec",
    "CellStatus",
    "Condition",
    "ObjectMeta",
    "OwnerReference",
    "Resource",
    "Tenant",
    "TenantMove",
    "TenantMoveSpec",
    "TenantMoveStatus",
    "TenantPlan",
    "TenantPlanSpec",
    "TenantSpec",
    "TenantStatus",
    "holds",
]
