"""What to do about a tenant. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from voicehelper_crds import Cell, Tenant, TenantPlan, holds

from voicehelper_operator.engine.pause import Pause
from voicehelper_operator.tenants.observe import Observation
from voicehelper_operator.tenants.placement import CreateCell, Decision, NotPlaced, Placed, decide

FINALIZER = "voicehelper.io/tenant"
ARCHIVED = "Archived"
"""Condition of a tenant that goes: a verified archive is where the message says."""
Step = Literal[
    "finalizer", "identify", "refuse", "create-cell", "place", "await-cell", "slices", "identity",
    "leave", "archive", "end-cell", "remove-data", "release",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order; with a ``pause`` there are none.

    ``refusal`` is a reason and a message; ``decision`` says where the tenant goes.
    """

    steps: tuple[Step, ...]
    refusal: tuple[str, str] | None = None
    decision: Decision | None = None
    waiting: str | None = None
    pause: Pause | None = None


def plan(seen: Observation) -> Plan:
    """The steps that bring the tenant nearer to its spec; all of them may be run at any time."""
    tenant = seen.tenant
    if seen.pause is not None:
        return Plan((), pause=seen.pause)
    if tenant.metadata.deletion_timestamp is not None:
        return _deletion(seen)
    if FINALIZER not in tenant.metadata.finalizers:
        return Plan(("finalizer",))
    if tenant.status.tenant_id is None:
        return Plan(("identify",), decision=_placeable(seen))
    if seen.plan is None:
        message = f"there is no TenantPlan '{tenant.spec.plan_ref}': apply it, or change spec.planRef"
        return Plan(("refuse",), ("PlanNotFound", message))
    decision = decide(tenant, seen.plan, seen.cells, seen.residents)
    match decision:
        case NotPlaced():
            return Plan((), decision=decision)
        case CreateCell():
            return Plan(("create-cell",), decision=decision)
        case Placed(cell=name):
            cell = next(item for item in seen.cells if item.metadata.name == name)
            if cell.status.cell_id is None:
                return Plan(("await-cell",), decision=decision, waiting=f"cell '{name}' is being made")
            place: tuple[Step, ...] = () if tenant.status.cell_id else ("place",)
            ready = holds(cell.status.conditions, "SlicesReady") and holds(cell.status.conditions, "Migrated")
            if not ready:
                return Plan(
                    (*place, "identity"), decision=decision, waiting=f"cell '{name}' has not made its slices yet"
                )
            return Plan((*place, "slices", "identity"), decision=decision)


def _placeable(seen: Observation) -> Decision | None:
    """Where a new tenant can go at once, so that its id and its place are one write: a cell that was judged already."""
    if seen.plan is None:
        return None
    decision = decide(seen.tenant, seen.plan, seen.cells, seen.residents)
    if not isinstance(decision, Placed):
        return None
    cell = next(item for item in seen.cells if item.metadata.name == decision.cell)
    return decision if cell.status.cell_id and holds(cell.status.conditions, "Accepted") else None


def _deletion(seen: Observation) -> Plan:
    """A cell of the tenant's own ends first: it asks the tenant, while there is one, what becomes of the data."""
    tenant = seen.tenant
    if FINALIZER not in tenant.metadata.finalizers:
        return Plan(())
    if tenant.status.tenant_id is None:
        return Plan(("release",))
    if archive_missing(tenant):
        return Plan(("leave", "archive"), waiting="its archive is being made")
    if seen.own_cell is not None:
        return Plan(("leave", "end-cell"), waiting=_ending(seen.own_cell))
    remove: tuple[Step, ...] = () if tenant.spec.deletion.policy == "Retain" else ("remove-data",)
    return Plan(("leave", *remove, "release"))


def archive_missing(tenant: Tenant) -> bool:
    """Whether nothing of the tenant may be removed yet; one that was never placed has nothing."""
    policy, status = tenant.spec.deletion.policy, tenant.status
    return policy == "Archive" and status.cell_id is not None and not holds(status.conditions, ARCHIVED)


def _ending(cell: Cell) -> str:
    """The end of a cell of the tenant's own, with what it says itself."""
    told = next((item.message for item in cell.status.conditions if item.reason == "Deleting"), "")
    return f"cell '{cell.metadata.name}' goes first" + (f": {told}" if told else "")


def limits(tenant: Tenant, plan: TenantPlan) -> Mapping[str, Any]:
    """What the tenant may use, for its cell: the plan's quota with the tenant's own overrides."""
    quota, own = plan.spec.quota, tenant.spec.quota
    return {
        "users": quota.users if own.users is None else own.users,
        "documents": quota.documents if own.documents is None else own.documents,
        "storage_bytes": quota.storage_bytes if own.storage_bytes is None else own.storage_bytes,
        "tokens_per_day": quota.tokens_per_day if own.tokens_per_day is None else own.tokens_per_day,
        "allowed_models": list(plan.spec.allowed_models),
        "message_content_in_analytics": plan.spec.retention.message_content_in_analytics,
    }
