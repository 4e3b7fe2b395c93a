"""Makes the tenants of a proof and removes them: a plan, a class, a victim, a neighbour in its cell, a stranger."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from voicehelper_core import errors, names
from voicehelper_core.ports import SecretStore
from voicehelper_crds import Cell, CellClass, Tenant, TenantPlan

from voicehelper_cli.client import Credentials
from voicehelper_cli.failures import Failure
from voicehelper_cli.isolation.party import Party
from voicehelper_cli.resources import Resources, condition, wait_condition, wait_deleted

LABEL = "voicehelper.io/isolation-proof"
READY_SECONDS, REMOVE_SECONDS = 240.0, 120.0
_STALE = timedelta(minutes=20)
_KINDS = (Tenant, Cell, TenantPlan, CellClass)


@dataclass(slots=True)
class World:
    """What one proof made; ``run`` marks everything of it."""

    resources: Resources
    secrets: SecretStore
    router_url: str
    say: Callable[[str], None]
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    parties: list[Party] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """Beginning of every name."""
        return f"iso-{self.run}"

    def _manifest(self, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": name, "labels": {LABEL: self.run}}
        return {"apiVersion": "voicehelper.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}

    async def apply(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        """Create or change a resource that goes with the proof. Raises Failure."""
        try:
            await self.resources.store.apply(self._manifest(kind, name, spec))
        except errors.AppError as error:
            raise Failure(f"{kind.lower()}/{name} was refused: {error.detail}") from None

    async def prepare(self) -> None:
        """Remove what a killed proof left, make the plan and the class."""
        await self._sweep()
        await self.apply("CellClass", self.prefix, {"postgresConnections": 6})
        await self.apply("TenantPlan", self.prefix, {"displayName": "Isolation proof", "cellClass": self.prefix})

    async def shared_cell(self) -> str:
        """A ready shared cell with room for three, or a new one."""
        for cell in await self.resources.store.list(Cell):
            ready = condition(cell, "Ready")
            room = cell.spec.capacity - cell.status.tenants
            free = not (cell.spec.cordoned or cell.spec.hibernate or cell.metadata.deletion_timestamp)
            if cell.spec.tenancy == "shared" and free and room >= 3 and ready is not None and ready.status == "True":
                return cell.metadata.name
        await self.apply(
            "Cell",
            self.prefix,
            {"tenancy": "shared", "classRef": self.prefix, "deletion": {"policy": "Delete"}, "capacity": 10},
        )
        await wait_condition(self.resources.store, Cell, self.prefix, "Ready", timeout=READY_SECONDS)
        return self.prefix

    async def is_shared(self, cell: str) -> bool:
        """Whether a cell takes a group of tenants."""
        return (await self.resources.store.get(Cell, cell)).spec.tenancy == "shared"

    async def tenant(self, role: str, *, cell: str = "", display_name: str = "", policy: str = "Delete") -> None:
        """Apply a tenant; ``cell`` pins it, otherwise it gets a dedicated one. ``ready`` waits for it."""
        placement = {"isolation": "shared", "cell": cell} if cell else {"isolation": "dedicated"}
        name = f"{self.prefix}-{role}"
        spec = {
            "displayName": display_name,
            "planRef": self.prefix,
            "placement": placement,
            "admin": {"email": f"admin@{name}.example"},
            "deletion": {"policy": policy},
        }
        await self.apply("Tenant", name, spec)

    async def ready(self, role: str) -> Party:
        """Wait until the tenant of a role is ready."""
        name = f"{self.prefix}-{role}"
        await wait_condition(self.resources.store, Tenant, name, "Ready", timeout=READY_SECONDS)
        return await self.party(name)

    async def party(self, name: str) -> Party:
        """A tenant that is ready, with its credentials. Raises Failure."""
        store = self.resources.store
        try:
            tenant = await store.get(Tenant, name)
            cell = await store.get(Cell, tenant.status.cell or "")
        except errors.NotFound:
            raise Failure(f"tenant/{name} does not exist or has no cell") from None
        tenant_id, cell_id = tenant.status.tenant_id or "", cell.status.cell_id or ""
        admin = await self.secrets.get(f"tenant-{tenant_id}-admin")
        if admin is None or not cell.status.endpoints.http:
            raise Failure(f"tenant/{name} is not ready")
        party = Party(
            credentials=Credentials(name, admin["email"], admin["password"]),
            tenant_id=tenant_id,
            cell=cell.metadata.name,
            cell_id=cell_id,
            cell_http=cell.status.endpoints.http,
            cell_grpc=cell.status.endpoints.grpc or "",
            router_url=self.router_url,
            store_credentials=await self.secrets.get(names.cell_secret(cell_id)) or {},
        )
        self.parties.append(party)
        return party

    async def remove(self) -> None:
        """Remove everything of this proof, whatever its state. Raises Failure that names what stays."""
        for party in self.parties:
            await party.close()
        await self._remove({self.run})

    async def remove_tenant(self, name: str) -> None:
        """Remove one tenant and wait for it."""
        await self.resources.store.delete(Tenant, name)
        await wait_deleted(self.resources.store, Tenant, name, timeout=REMOVE_SECONDS)

    async def _sweep(self) -> None:
        """What older proofs left that could not clean up (they were killed)."""
        old = datetime.now(UTC) - _STALE
        left = set()
        for kind in _KINDS:
            for item in await self.resources.store.list(kind):
                born = item.metadata.creation_timestamp
                run = item.metadata.labels.get(LABEL)
                if run and (born is None or born < old):
                    left.add(run)
        if left:
            self.say(f"removing what an interrupted proof left behind ({', '.join(sorted(left))})")
            await self._remove(left)

    async def _remove(self, runs: set[str]) -> None:
        end = time.monotonic() + REMOVE_SECONDS
        left: list[str] = []
        while time.monotonic() < end:
            left = []
            for kind in _KINDS:  # cells refuse to go while tenants are placed there, plans follow at last
                found = [
                    item for item in await self.resources.store.list(kind) if item.metadata.labels.get(LABEL) in runs
                ]
                left += [f"{kind.kind_name.lower()}/{item.metadata.name}" for item in found]
                for item in found:
                    if item.metadata.deletion_timestamp is None:
                        with contextlib.suppress(errors.NotFound, errors.PermissionDenied, errors.Conflict):
                            await self.resources.store.delete(kind, item.metadata.name)
                if found:
                    break
            if not left:
                return
            await asyncio.sleep(0.3)
        raise Failure(f"could not be removed within {REMOVE_SECONDS:g} s: {', '.join(left)}")
