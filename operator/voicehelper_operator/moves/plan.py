"""What to do about a move. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from voicehelper_core.resource_rules import is_paused
from voicehelper_crds import Cell, holds
from voicehelper_crds.moves import MoveTarget
from voicehelper_crds.tenants import Placement

from voicehelper_operator.moves.observe import Observation
from voicehelper_operator.tenants.placement import CreateCell, Decision, NotPlaced, Placed, decide

FINALIZER = "voicehelper.io/move"
Step = Literal[
    "finalizer", "refuse", "wait", "make-cell", "begin", "copy", "switch", "let-go", "drain", "rest", "clean", "abort",
    "forget", "nothing",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step, and what to say of it."""

    step: Step
    message: str = ""
    reason: str = ""
    after: float | None = None
    """Seconds until the next look, where nothing else brings it."""
    cell: Cell | None = None
    """The target, where the move begins."""
    name: str = ""
    """Of the cell that has to be made."""


_LOOK = 1.0
_REST = 30.0


def plan(seen: Observation) -> Plan:
    """One step; every one may be taken again."""
    move, status = seen.move, seen.move.status
    leaving = move.metadata.deletion_timestamp is not None
    if status.finished_at is not None or (leaving and FINALIZER not in move.metadata.finalizers):
        return Plan("forget" if leaving else "nothing")
    if not leaving and FINALIZER not in move.metadata.finalizers:
        return Plan("finalizer")
    if status.switched_at is not None or seen.switched:
        return _after(seen)
    if leaving or move.spec.state == "Abort":
        return Plan("abort", "it was deleted" if leaving else "spec.state is Abort", "Asked")
    if status.started_at is not None and status.phase == "Aborting":
        return Plan("abort", status.message, "GoesOn")
    if status.target is None:
        return _beginning(seen)
    return _before(seen)


def _beginning(seen: Observation) -> Plan:
    """Nothing was done yet."""
    tenant, name = seen.tenant, seen.move.spec.tenant
    if tenant is None:
        return Plan("refuse", f"there is no Tenant '{name}'", "TenantNotFound")
    if tenant.metadata.deletion_timestamp is not None:
        return Plan("refuse", f"the tenant '{name}' is being deleted", "TenantDeleting")
    if seen.ahead:
        return Plan("wait", f"move '{seen.ahead}' of the tenant has to end first", "Queued", after=_LOOK)
    if seen.plan is None:
        return Plan("wait", f"there is no TenantPlan '{tenant.spec.plan_ref}'", "PlanNotFound", after=_REST)
    source = seen.cell(tenant.status.cell_id)
    if source is None:
        return Plan("wait", f"the tenant '{name}' has no cell", "TenantNotPlaced", after=_LOOK)
    if is_paused(tenant) or is_paused(source):
        return Plan(
            "wait", "the tenant or its cell is paused (annotation voicehelper.io/paused)", "Paused", after=_REST
        )
    decision = _target(seen, source)
    match decision:
        case NotPlaced(reason=reason, message=message):
            return Plan("wait", message, reason, after=_REST)
        case CreateCell(name=cell):
            return Plan("make-cell", f"makes cell '{cell}'", name=cell)
        case Placed(cell=cell):
            found = next(item for item in seen.cells if item.metadata.name == cell)
            if found.status.cell_id is None:
                return Plan("wait", f"cell '{cell}' is being made", "CellNotReady", after=_LOOK)
            return Plan("begin", cell=found)


def _target(seen: Observation, source: Cell) -> Decision:
    tenant, plan_of, target = seen.tenant, seen.plan, seen.move.spec.target
    assert tenant is not None
    assert plan_of is not None
    if target.cell == source.metadata.name:
        return NotPlaced("AlreadyThere", f"the tenant lives in cell '{target.cell}' already: name another")
    own = [
        cell
        for cell in seen.cells
        if cell is not source and any(owner.uid == tenant.metadata.uid for owner in cell.metadata.owner_references)
    ]
    if target.cell is None and target.isolation == "dedicated" and own:
        return Placed(own[0].metadata.name, "a cell of its own")  # made for this move
    wish = tenant.model_copy(deep=True)
    wish.status.cell = None
    wish.spec.placement = _wish(seen, target, tenant.spec.placement)
    others = [cell for cell in seen.cells if cell is not source]
    decision = decide(wish, plan_of, others, seen.residents)
    if isinstance(decision, CreateCell) and any(cell.metadata.name == decision.name for cell in seen.cells):
        return CreateCell(seen.move.metadata.name)  # the tenant's own cell has its name already
    return decision


def _wish(seen: Observation, target: MoveTarget, now: Placement) -> Placement:
    """Where the tenant would be placed: as it says itself, but for what the move says."""
    if target.cell is not None:
        named = next((cell for cell in seen.cells if cell.metadata.name == target.cell), None)
        kind = named.spec.tenancy if named is not None else None
        return Placement(cell=target.cell, isolation=kind)
    dedicated = target.isolation == "dedicated"
    return now.model_copy(
        update={
            "cell": None,
            "isolation": target.isolation or now.isolation,
            "region": target.region or now.region,
            "group": None if dedicated else now.group,
        }
    )


def _before(seen: Observation) -> Plan:
    """Source and target are known, and the tenant lives in the source."""
    status, tenant = seen.move.status, seen.tenant
    assert status.source is not None
    assert status.target is not None
    if tenant is None or tenant.metadata.deletion_timestamp is not None:
        return Plan("abort", "the tenant is being deleted", "TenantDeleting")
    if tenant.status.cell_id != status.source.cell_id:
        return Plan("abort", f"the tenant does not live in cell '{status.source.cell}' any more", "SourceChanged")
    if status.held_at is not None or tenant.status.held_by == seen.move.metadata.name:
        return Plan("let-go", "the switch was interrupted")
    target = seen.cell(status.target.cell_id)
    if target is None or target.metadata.deletion_timestamp is not None:
        return Plan("abort", f"cell '{status.target.cell}' is gone", "TargetGone")
    if is_paused(tenant) or is_paused(target):
        return Plan(
            "wait", "the tenant or the target is paused (annotation voicehelper.io/paused)", "Paused", after=_REST
        )
    lacking = next(
        (kind for kind in ("SlicesReady", "Migrated", "WorkloadReady") if not holds(target.status.conditions, kind)),
        None,
    )
    if lacking is not None and not (lacking == "WorkloadReady" and target.status.hibernation == "Idle"):
        why = next((item.message for item in target.status.conditions if item.type == lacking), "")
        return Plan("wait", f"cell '{status.target.cell}' is not ready: {lacking}: {why}", "CellNotReady", after=_LOOK)
    return Plan("copy" if status.phase != "Copying" or not status.rounds else "switch")


def _after(seen: Observation) -> Plan:
    """The tenant lives in the target, or is gone from there."""
    move, status = seen.move, seen.move.status
    if status.switched_at is None or status.phase in ("Copying", "Holding", "Draining"):
        return Plan("drain")
    over = status.switched_at + timedelta(seconds=move.spec.grace_seconds)
    left = (over - seen.now).total_seconds()
    gone = seen.tenant is None or seen.tenant.metadata.deletion_timestamp is not None
    early = seen.behind or gone or move.metadata.deletion_timestamp is not None
    if status.phase == "Grace" and left > 0 and not early:
        return Plan("rest", f"cell '{_source(seen)}' keeps the data, read-only, until {over:%Y-%m-%d %H:%M:%S} UTC",
                    after=min(left, _REST))  # fmt: skip
    return Plan("clean")


def _source(seen: Observation) -> str:
    source = seen.move.status.source
    return source.cell if source is not None else ""
