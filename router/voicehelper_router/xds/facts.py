"""What the router needs to know about tenants and cells, and nothing else: it is also what is kept on disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict
from voicehelper_crds import Cell, Tenant
from voicehelper_crds.meta import Condition
from voicehelper_crds.models import CanaryStatus

Meets = Literal["cell", "held", "asleep"]
"""A cell answers, requests wait for it, or they are refused."""
_ENDPOINT = re.compile(r"^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9.-]{1,253}):(?P<port>[0-9]{1,5})$")


class CanaryFacts(BaseModel):
    """The release that is tried beside the one that serves."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    http: str
    """host:port of its BFF."""
    grpc: str | None = None
    """host:port of its gRPC services."""
    weight: int
    """Percent of the users that it gets."""


class CellFacts(BaseModel):
    """A cell, awake or asleep."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    cell_id: str
    """Key of the cell's resources."""
    http: str | None = None
    """host:port of the BFF; None while there is none: the cell sleeps, or does not run yet."""
    grpc: str | None = None
    """host:port of the gRPC services."""
    hibernation: Literal["", "Idle", "Forced"] = ""
    """Why it sleeps."""
    canary: CanaryFacts | None = None
    """What is tried beside it."""

    @property
    def meets(self) -> Meets:
        """What requests to it meet. Awake and without an address is between waking and running."""
        if self.hibernation == "Forced":
            return "asleep"
        return "cell" if self.http and not self.hibernation else "held"


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """A tenant, whether it can be routed or not. No model: there are 100,000 of them."""

    name: str
    """Value of the tenant header."""
    state: Literal["routable", "held", "suspended", "unavailable"]
    """What requests meet."""
    cell_id: str | None = None
    """The cell that serves it, or would."""


def _holds(conditions: list[Condition], kind: str) -> bool:
    return any(condition.type == kind and condition.status == "True" for condition in conditions)


def tenant(resource: Tenant) -> TenantFacts:
    """Suspension first (it is the caller's to know), then whatever keeps the tenant from being served."""
    name, status = resource.metadata.name, resource.status
    if resource.spec.suspended or _holds(status.conditions, "Suspended"):
        return TenantFacts(name=name, state="suspended")
    leaving = resource.metadata.deletion_timestamp and not _holds(status.conditions, "Paused")  # which keeps the route
    if leaving or not status.cell_id:
        return TenantFacts(name=name, state="unavailable")
    if not _holds(status.conditions, "Routable"):
        # The cell says more where it was put to sleep.
        return TenantFacts(name=name, state="unavailable", cell_id=status.cell_id)
    return TenantFacts(name=name, state="held" if status.held_by else "routable", cell_id=status.cell_id)


def _endpoint(text: str | None) -> str | None:
    """``host:port``, or None: one cell's bad endpoint must not spoil the snapshot of all."""
    match = _ENDPOINT.match(text or "")
    return text if match and 0 < int(match["port"]) < 65536 else None


def cell(resource: Cell) -> CellFacts | None:
    """None while nothing can be routed to the cell and no request should wait for it."""
    status = resource.status
    http = _endpoint(status.endpoints.http)
    hopeless = resource.metadata.deletion_timestamp or (status.endpoints.http and not status.hibernation)
    if not status.cell_id or (not http and hopeless):
        return None
    grpc = _endpoint(status.endpoints.grpc) if http else None
    return CellFacts(
        cell_id=status.cell_id,
        http=http,
        grpc=grpc,
        hibernation=status.hibernation,
        canary=_canary(status.canary) if http and not status.hibernation else None,
    )


def _canary(status: CanaryStatus | None) -> CanaryFacts | None:
    """None while nobody should be sent there."""
    http = _endpoint(status.endpoints.http) if status is not None and status.ready else None
    if status is None or not http:
        return None
    return CanaryFacts(http=http, grpc=_endpoint(status.endpoints.grpc), weight=status.weight)
