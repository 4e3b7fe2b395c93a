"""What the router needs to know about tenants and cells, and nothing else: it is also what is kept on disk."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from voicehelper_crds import Cell, Tenant
from voicehelper_crds.meta import Condition


class CellFacts(BaseModel):
    """A cell that can be routed to."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    cell_id: str
    """Key of the cell's resources."""
    http: str
    """host:port of the BFF."""
    grpc: str | None = None
    """host:port of the gRPC services."""


class TenantFacts(BaseModel):
    """A tenant, whether it can be routed or not."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """Value of the tenant header."""
    state: Literal["routable", "suspended", "unavailable"]
    """What requests meet."""
    cell_id: str | None = None
    """The cell that serves it."""


def _holds(conditions: list[Condition], kind: str) -> bool:
    return any(condition.type == kind and condition.status == "True" for condition in conditions)


def tenant(resource: Tenant) -> TenantFacts:
    """Suspension first (it is the caller's to know), then whatever keeps the tenant from being served."""
    name, status = resource.metadata.name, resource.status
    if resource.spec.suspended or _holds(status.conditions, "Suspended"):
        return TenantFacts(name=name, state="suspended")
    if resource.metadata.deletion_timestamp or not status.cell_id or not _holds(status.conditions, "Routable"):
        return TenantFacts(name=name, state="unavailable")
    return TenantFacts(name=name, state="routable", cell_id=status.cell_id)


def cell(resource: Cell) -> CellFacts | None:
    """None while the cell has no endpoint yet."""
    status = resource.status
    if not status.cell_id or not status.endpoints.http:
        return None
    return CellFacts(cell_id=status.cell_id, http=status.endpoints.http, grpc=status.endpoints.grpc)
