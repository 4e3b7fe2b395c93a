"""Plans and classes stay while somebody names them."""

from __future__ import annotations

from collections.abc import Iterable

from voicehelper_crds import Resource

from voicehelper_operator.admission.request import Refusal, Request
from voicehelper_operator.admission.world import World

_NAMED = 5
"""Of those who refer, in a message."""


def plan_refusal(request: Request, world: World) -> Refusal | None:
    """A plan that tenants have."""
    users = [tenant for tenant in world.tenants if tenant.spec.plan_ref == request.name]
    return in_use(request, users, "name another plan in their spec.planRef")


def class_refusal(request: Request, world: World) -> Refusal | None:
    """A class that cells have, or that plans give to cells."""
    users: list[Resource] = [cell for cell in world.cells if cell.spec.class_ref == request.name]
    users += [plan for plan in world.plans.values() if plan.spec.cell_class == request.name]
    return in_use(request, users, "name another class in their spec.classRef or spec.cellClass")


def in_use(request: Request, users: Iterable[Resource], advice: str) -> Refusal | None:
    """Why it may not be deleted: these name it."""
    if request.operation != "DELETE":
        return None
    names = sorted(
        f"{user.kind_name.lower()}/{user.metadata.name}" for user in users if not user.metadata.deletion_timestamp
    )
    if not names:
        return None
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    listed = ", ".join(names[:_NAMED]) + more
    return Refusal(f"{request.shown} is in use by {listed}: {advice}, or delete them first", 409)
