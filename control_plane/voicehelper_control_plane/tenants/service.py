"""Tenants through the resource store, each change with a row in the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from voicehelper_core.errors import AppError, Conflict, NotFound
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Resource, Tenant

from voicehelper_control_plane import pagination
from voicehelper_control_plane.audit import repository as audit
from voicehelper_control_plane.principal import Principal
from voicehelper_control_plane.tenants.models import Quota

_TRIES = 6


def shown(tenant: Tenant) -> dict[str, Any]:
    """The resource as JSON, in the shape of the Kubernetes API."""
    return tenant.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class TenantService:
    """For the platform's admins; a tenant's admin may read its own."""

    store: ResourceStore
    pool: asyncpg.Pool

    async def create(self, who: Principal, manifest: Mapping[str, Any]) -> Tenant:
        """Raises PermissionDenied, InvalidArgument with the fields' paths, Conflict."""
        who.require_platform_admin()
        name = str(manifest["metadata"]["name"])
        made = await self._audited(who, "tenant.create", name, lambda: self.store.create(manifest))
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

    async def update_quota(self, who: Principal, name: str, quota: Quota) -> Tenant:
        """Raises PermissionDenied, NotFound, InvalidArgument, Conflict while the tenant keeps changing."""
        who.require_platform_admin()
        given = quota.model_dump(exclude_unset=True)
        changed = await self._audited(who, "tenant.quota", name, lambda: self._with_quota(name, given), quota=given)
        assert isinstance(changed, Tenant)
        return changed

    async def delete(self, who: Principal, name: str) -> None:
        """Ask for the deletion. Raises PermissionDenied, NotFound."""
        who.require_platform_admin()
        await self._audited(who, "tenant.delete", name, lambda: self.store.delete(Tenant, name))

    async def _with_quota(self, name: str, quota: Mapping[str, Any]) -> Resource:
        for tries in range(_TRIES):
            document = shown(await self.store.get(Tenant, name))
            merged = {**document["spec"].get("quota", {}), **quota}
            document["spec"]["quota"] = {field: value for field, value in merged.items() if value is not None}
            manifest = {key: document[key] for key in ("apiVersion", "kind", "spec")}
            kept = ("name", "labels", "annotations", "resourceVersion")
            manifest["metadata"] = {key: value for key, value in document["metadata"].items() if key in kept}
            try:
                return await self.store.apply(manifest)
            except Conflict:  # a status was written meanwhile, most likely
                if tries == _TRIES - 1:
                    raise
                await asyncio.sleep(0.02 * 2**tries)
        raise AssertionError("unreachable")

    async def _audited(
        self, who: Principal, action: str, name: str, work: Callable[[], Awaitable[Any]], **details: Any
    ) -> Any:
        """The row is there before the work begins: no change goes unseen, whatever dies in between."""
        row = await audit.record(
            self.pool, who, action, f"tenant/{name}", tenant_id=await self._owner(who, name), outcome="begun", **details
        )
        try:
            result = await work()
        except AppError as error:
            await audit.settle(self.pool, row, f"refused: {error.detail}")
            raise
        except Exception as error:
            await audit.settle(self.pool, row, f"failed: {type(error).__name__}")
            raise
        await audit.settle(self.pool, row, "done")
        return result

    async def _owner(self, who: Principal, name: str) -> str:
        """Whose audit log shows the change: the tenant's, where there is one with an id."""
        try:
            tenant = await self.store.get(Tenant, name)
        except NotFound:
            return who.tenant_id
        return tenant.status.tenant_id or who.tenant_id
