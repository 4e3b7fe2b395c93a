"""Exports and imports of tenants. The operator reaches the stores and does the work; the resources are made here.

An import: the operator takes the file in and verifies it; then the Tenant is made, suspended and marked as one that is
being restored; the operator waits until it is placed and fills it; then the mark goes, and the suspension with it, and
the import ends when its requests are answered. Cut off anywhere, the same import begins anew with the tenant that is
there.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from voicehelper_core.archive.manifest import RESTORED, RESTORING
from voicehelper_core.errors import AppError, Conflict, InvalidArgument, NotFound, Unavailable, Unprocessable
from voicehelper_core.log import get_logger
from voicehelper_crds import Cell, Tenant, TenantPlan, holds

from voicehelper_control_plane.audit import repository as audit
from voicehelper_control_plane.principal import Principal
from voicehelper_control_plane.tenants.service import TenantService

log = get_logger(__name__)
KEY_HEADER = "x-provisioning-key"
_TIMEOUT = httpx.Timeout(330, connect=5)
"""The operator says something every ten seconds, but not while it verifies a large file."""
_READY_SECONDS, _LOOK_SECONDS = 25, 0.2
"""Less than a stream may be silent."""
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be other than in the archive; empty keeps it."""

    name: str = ""
    cell: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True)
class ArchiveService:
    """For the platform's admins."""

    tenants: TenantService
    operator_url: str
    key: str

    @asynccontextmanager
    async def _asked(self, method: str, path: str, **arguments: Any) -> AsyncIterator[httpx.Response]:
        if not self.operator_url:
            raise Unavailable("this control plane knows no operator: set operator_url")
        headers = {KEY_HEADER: self.key}
        try:
            async with (
                httpx.AsyncClient(base_url=self.operator_url, timeout=_TIMEOUT, trust_env=False) as client,
                client.stream(method, path, headers=headers, **arguments) as answer,
            ):
                if answer.is_error:
                    await answer.aread()
                    raise _refused(answer)
                yield answer
        except httpx.HTTPError as error:
            log.warning("the operator cannot be asked", error_type=type(error).__name__, error=str(error)[:300])
            raise Unavailable(
                f"the operator does not answer, or stopped in the middle ({type(error).__name__})"
            ) from None

    async def export(self, who: Principal, name: str) -> AsyncGenerator[bytes, None]:
        """The archive as it comes. Raises PermissionDenied, NotFound, Conflict, Unavailable; ends short on failure."""
        who.require_platform_admin()
        tenant = await self.tenants.get(who, name)
        row = await self._recorded(who, "tenant.export", name, tenant.status.tenant_id or who.tenant_id)
        try:
            async with self._asked("GET", f"/archives/tenants/{name}") as answer:
                async for chunk in answer.aiter_raw():
                    yield chunk
        except AppError as error:
            await audit.settle(self.tenants.pool, row, f"failed: {error.detail}")
            raise
        await audit.settle(self.tenants.pool, row, "done")

    async def restore(self, who: Principal, body: AsyncIterator[bytes], wishes: Wishes) -> AsyncGenerator[Event, None]:
        """What happens, as it happens; the last event is ``restored`` or ``failed``. Raises PermissionDenied."""
        who.require_platform_admin()
        row = await self._recorded(who, "tenant.import", wishes.name or "?", who.tenant_id, cell=wishes.cell)
        outcome = "broke off"
        try:
            async with aclosing(self._events(body, wishes)) as events:
                async for event in events:
                    outcome = {"restored": "done", "failed": f"failed: {event.get('detail')}"}.get(
                        event["event"], outcome
                    )
                    yield event
        except AppError as error:
            outcome = f"failed: {error.detail}"
            raise
        finally:
            await audit.settle(self.tenants.pool, row, outcome)

    async def _events(self, body: AsyncIterator[bytes], wishes: Wishes) -> AsyncGenerator[Event, None]:
        manifest: dict[str, Any] = {}
        made = False
        async with self._asked(
            "POST", "/archives/import", params={"name": wishes.name}, content=_counted(body)
        ) as answer:
            async for line in answer.aiter_lines():
                event: Event = json.loads(line)
                if event["event"] == "verified":
                    manifest = await self._manifest(event, wishes)
                    made = await self._make(manifest, event["digest"])
                    del event["archive"]["resource"]
                elif event["event"] == "restored":
                    await self._open(manifest)
                elif event["event"] == "failed" and made and 400 <= event["status"] < 500:
                    await self._take_back(manifest["metadata"]["name"])  # trying again would change nothing
                yield event

    async def _manifest(self, event: Event, wishes: Wishes) -> dict[str, Any]:
        """The Tenant as it is to be in the end. Raises Unprocessable, NotFound, InvalidArgument."""
        resource = event["archive"]["resource"]
        spec, metadata = dict(resource["spec"]), resource["metadata"]
        placement = {key: value for key, value in spec.get("placement", {}).items() if key != "cell"}
        if wishes.plan:
            spec["planRef"] = wishes.plan
        await self._exists(TenantPlan, spec["planRef"], "name another one with --plan")
        if wishes.cell:
            cell = await self._exists(Cell, wishes.cell, "name another one with --cell")
            placement |= {"cell": wishes.cell, "isolation": cell.spec.tenancy}
            if cell.spec.tenancy == "dedicated":
                placement.pop("group", None)
        spec["placement"] = placement
        annotations = {**metadata.get("annotations", {}), RESTORED: event["digest"]}
        made = {"name": event["tenant"], "labels": metadata.get("labels", {}), "annotations": annotations}
        return {"apiVersion": resource["apiVersion"], "kind": "Tenant", "metadata": made, "spec": spec}

    async def _exists(self, kind: Any, name: str, hint: str) -> Any:
        try:
            return await self.tenants.store.get(kind, name)
        except NotFound:
            raise Unprocessable(f"there is no {kind.kind_name} '{name}': {hint}") from None

    async def _make(self, manifest: dict[str, Any], digest: str) -> bool:
        """The Tenant, suspended and marked, or the one of an import of the same archive that did not end; is it new?"""
        name, store = manifest["metadata"]["name"], self.tenants.store
        marked = {
            **manifest,
            "metadata": {**manifest["metadata"], "annotations": {RESTORING: digest}},
            "spec": {**manifest["spec"], "suspended": True, "deletion": {"policy": "Delete"}},  # it is only half there
        }
        try:
            await store.create(marked)
            return True
        except Conflict:
            tenant = await store.get(Tenant, name)
            if tenant.metadata.annotations.get(RESTORING) != digest or not tenant.spec.suspended:
                came = tenant.metadata.annotations.get(RESTORED) == digest
                raise Conflict(
                    f"tenant/{name} exists already"
                    + (": it was restored from this archive" if came else ", with data of its own")
                    + "; delete it, or choose another name (--name)"
                ) from None
            await store.apply(marked)
            return False
        except InvalidArgument as error:
            raise Unprocessable(f"the archive's Tenant is refused here: {error.detail}") from None

    async def _take_back(self, name: str) -> None:
        """Nothing is left of a tenant that could not be filled."""
        with suppress(NotFound):
            tenant = await self.tenants.store.get(Tenant, name)
            if RESTORING in tenant.metadata.annotations:
                await self.tenants.store.delete(Tenant, name)

    async def _open(self, manifest: dict[str, Any]) -> None:
        """The mark and the suspension go; what was suspended when it was archived stays so."""
        name = manifest["metadata"]["name"]
        tenant = await self.tenants.store.get(Tenant, name)
        if RESTORING not in tenant.metadata.annotations:
            raise Conflict(f"tenant/{name} was changed while it was being restored")
        opened = await self.tenants.store.apply(manifest)
        if not manifest["spec"].get("suspended"):
            await self._until_ready(name, opened.metadata.generation)

    async def _until_ready(self, name: str, generation: int | None) -> None:
        """The router hears of it a moment later. What takes longer is told by the tenant's conditions."""
        end = time.monotonic() + _READY_SECONDS
        with suppress(NotFound):
            while time.monotonic() < end:
                tenant = await self.tenants.store.get(Tenant, name)
                if holds(tenant.status.conditions, "Ready", generation):
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def _recorded(self, who: Principal, action: str, name: str, tenant_id: str, **details: Any) -> int:
        return await audit.record(
            self.tenants.pool, who, action, f"tenant/{name}", tenant_id=tenant_id, outcome="begun", **details
        )


async def _counted(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in body:
        if chunk:
            yield chunk


def _refused(answer: httpx.Response) -> AppError:
    """What the operator's problem document says."""
    try:
        document = answer.json()
        detail = str(document["detail"])
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"the operator answers {answer.status_code}")
    kind = {item.status: item for item in AppError.__subclasses__()}.get(answer.status_code, Unavailable)
    return kind(detail)
