"""Tenants: the plan and the pinned cell are there, a placed tenant stays where it is, protection holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voicehelper_core.kubernetes_api.cache import to_resource
from voicehelper_crds import Cell, Tenant, TenantPlan

from voicehelper_operator.admission.protection import protected
from voicehelper_operator.admission.request import Refusal, Request
from voicehelper_operator.admission.world import World
from voicehelper_operator.tenants.observe import residents
from voicehelper_operator.tenants.placement import NotPlaced, decide, isolation_of, region_of


def refusal(request: Request, world: World) -> Refusal | None:
    """Why not."""
    if request.operation == "DELETE":
        return _deletion(request, world)
    assert request.new is not None
    wanted = to_resource(Tenant, dict(request.new))
    before = to_resource(Tenant, dict(request.old)) if request.old else None
    plan = world.plans.get(wanted.spec.plan_ref)
    if plan is None:
        if before is not None and before.spec.plan_ref == wanted.spec.plan_ref:
            return None  # it was there once; suspending the tenant, say, has to be possible without it
        return _invalid(f"spec.planRef: there is no TenantPlan '{wanted.spec.plan_ref}': {_known(world.plans)}")
    if wanted.status.cell:
        return _moved(before, wanted, plan, world) if before else None
    if wanted.spec.placement.cell and (before is None or _where(before) != _where(wanted)):
        return _pin(wanted, plan, world)
    return None


def _deletion(request: Request, world: World) -> Refusal | None:
    assert request.old is not None
    if found := protected(request.kind, request.old):
        return found
    uid = request.old["metadata"].get("uid")
    for cell in world.cells:
        if cell.spec.deletion.protect and any(owner.uid == uid for owner in cell.metadata.owner_references):
            name = cell.metadata.name
            message = f"Cell '{name}', which goes with {request.shown}, is protected"
            return Refusal(f"{message}: set spec.deletion.protect of the Cell to false first", 403)
    return None


def _pin(tenant: Tenant, plan: TenantPlan, world: World) -> Refusal | None:
    """A cell that cannot take the tenant: what placement would say later."""
    decision = decide(tenant, plan, world.cells, residents(tenant, world.tenants))
    if not isinstance(decision, NotPlaced):
        return None
    message = decision.message.removeprefix("placement.cell: ")
    return _invalid(f"spec.placement.cell: {message}: name another cell, or leave it to the operator")


def _moved(before: Tenant | None, wanted: Tenant, plan: TenantPlan, world: World) -> Refusal | None:
    """Nothing is moved by itself: a wish that the tenant's home contradicts would never come true."""
    assert before is not None
    name = wanted.status.cell
    home = next((cell for cell in world.cells if cell.metadata.name == name), None)
    pin, region = wanted.spec.placement.cell, region_of(wanted)
    if pin not in (None, name, before.spec.placement.cell):
        return _stays(wanted, "spec.placement.cell", f"leave it out, or name '{name}'")
    if home is None:
        return None
    if isolation_of(wanted, plan) != home.spec.tenancy and _isolation(before, world.plans) != isolation_of(
        wanted, plan
    ):
        field = "spec.planRef" if before.spec.plan_ref != wanted.spec.plan_ref else "spec.placement.isolation"
        return _stays(wanted, field, f"set spec.placement.isolation to {home.spec.tenancy}", f", a {_kind(home)}")
    if region not in (None, home.spec.region, region_of(before)):
        field = "spec.residency" if wanted.spec.residency else "spec.placement.region"
        return _stays(wanted, field, "leave it as it was", f" in region '{home.spec.region}'")
    return None


def _isolation(tenant: Tenant, plans: Mapping[str, TenantPlan]) -> str | None:
    plan = plans.get(tenant.spec.plan_ref)
    return isolation_of(tenant, plan) if plan else tenant.spec.placement.isolation


def _kind(cell: Cell) -> str:
    return f"{cell.spec.tenancy} cell"


def _stays(tenant: Tenant, field: str, advice: str, what: str = "") -> Refusal:
    where = f"tenant '{tenant.metadata.name}' lives in cell '{tenant.status.cell}'{what}"
    return _invalid(f"{field}: {where}, and nothing is moved by itself: {advice}")


def _where(tenant: Tenant) -> tuple[Any, ...]:
    return tenant.spec.placement, tenant.spec.residency, tenant.spec.plan_ref


def _known(plans: Mapping[str, TenantPlan]) -> str:
    there = sorted(plans)
    listed = ", ".join(there[:5]) + (", ..." if len(there) > 5 else "")
    return f"apply it first, or name another one ({listed})" if there else "apply it first"


def _invalid(message: str) -> Refusal:
    return Refusal(message, 422)
