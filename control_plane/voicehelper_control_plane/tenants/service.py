"""Tenants through the resource store, each change with a row in the audit log."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import asyncpg
from voicehelper_core.errors import AppError, NotFound
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import API_VERSION, Tenant

from voicehelper_control_plane import pagination
from voicehelper_control_plane.audit import repository as audit
from voicehelper_control_plane.principal import Principal


def shown(tenant: Tenant) -> dict[str, Any]:
    """The resource as JSON, in the shape of the Kubernetes API."""
    return tenant.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class TenantService:
    """For the platform's admins; a tenant's admin may read its own."""

    store: ResourceStore
    pool: asyncpg.Pool

    async def create(self, who: Principal, name: str, spec: dict[str, Any], labels: dict[str, str]) -> Tenant:
        """Raises PermissionDenied, InvalidArgument with the fields' paths, Conflict."""
        who.require_platform_admin()
        manifest = {
            "apiVersion": API_VERSION,
            "kind": "Tenant",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
        }
        made = await self._audited(who, "tenant.create", name, self.store.create(manifest))
        assert isinstance(made, Tenant)
        return made

    async def get(self, who: Principal, name: str) -> Tenant:
        """Raises NotFound, also for other tenants' names."""
        if not who.is_platform_admin and (who.tenant != name):
            raise NotFound(f"no tenant '{name}'")
        if not who.is_platform_admin:
            who.require_admin_of(who.tenant_id)
        tenant = await self.store.get(Tenant, name)
        if not who.is_platform_admin and tenant.status.tenant_id != who.tenant_id:
            raise NotFound(f"no tenant '{name}'")
        return tenant

    async def listing(self, who: Principal, limit: int, cursor: str) -> tuple[list[Tenant], str]:
        """By name."""
        who.require_platform_admin()
        key = pagination.decode(cursor, 1)
        tenants = [item for item in await self.store.list(Tenant) if key is None or item.metadata.name > key[0]]
        page = tenants[:limit]
        return page, pagination.encode(page[-1].metadata.name) if len(tenants) > limit else ""

    async def update_quota(self, who: Principal, name: str, quota: dict[str, Any]) -> Tenant:
        """Raises PermissionDenied, NotFound, InvalidArgument."""
        who.require_platform_admin()
        tenant = await self.store.get(Tenant, name)
        document = shown(tenant)
        merged = {**document["spec"].get("quota", {}), **quota}
        document["spec"]["quota"] = {field: value for field, value in merged.items() if value is not None}
        manifest = {key: document[key] for key in ("apiVersion", "kind", "spec")}
        kept = ("name", "labels", "annotations", "resourceVersion")
        manifest["metadata"] = {key: value for key, value in document["metadata"].items() if key in kept}
        changed = await self._audited(who, "tenant.quota", name, self.store.apply(manifest), quota=quota)
        assert isinstance(changed, Tenant)
        return changed

    async def delete(self, who: Principal, name: str) -> None:
        """Ask for the deletion. Raises PermissionDenied, NotFound."""
        who.require_platform_admin()
        await self._audited(who, "tenant.delete", name, self.store.delete(Tenant, name))

    async def _audited(self, who: Principal, action: str, name: str, work: Awaitable[Any], **details: Any) -> Any:
        try:
            result = await work
        except AppError as error:
            await audit.record(
                self.pool, who, action, f"tenant/{name}", tenant_id=who.tenant_id,
                outcome=f"refused: {error.detail}", **details,
            )  # fmt: skip
            raise
        await audit.record(self.pool, who, action, f"tenant/{name}", tenant_id=who.tenant_id, **details)
        return result
