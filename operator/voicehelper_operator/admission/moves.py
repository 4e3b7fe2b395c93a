"""A move is of a tenant that is there, to a cell that is there."""

from __future__ import annotations

from voicehelper_operator.admission.request import Refusal, Request
from voicehelper_operator.admission.world import World


def refusal(request: Request, world: World) -> Refusal | None:
    """What cannot be moved or reached is said at once. A deletion ends a move before its switch, and is no trouble."""
    if request.operation != "CREATE":
        return None
    spec = (request.new or {}).get("spec") or {}
    tenant = next((item for item in world.tenants if item.metadata.name == spec.get("tenant")), None)
    if tenant is None:
        return Refusal(f"spec.tenant: there is no Tenant '{spec.get('tenant')}'", 422)
    cell = (spec.get("target") or {}).get("cell")
    if cell and cell not in {item.metadata.name for item in world.cells}:
        return Refusal(f"spec.target.cell: there is no Cell '{cell}': apply it first", 422)
    if cell and cell == tenant.status.cell:
        return Refusal(f"spec.target.cell: the tenant lives in cell '{cell}' already: name another", 422)
    return None
