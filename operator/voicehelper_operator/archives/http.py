"""Exports and imports for the control plane, which shows the provisioning key; no user's token opens this."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from voicehelper_core.archive import Manifest, verify
from voicehelper_core.archive.manifest import RESTORING
from voicehelper_core.errors import AppError, Conflict, NotFound, PermissionDenied, Unavailable, expected
from voicehelper_core.log import get_logger
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Tenant, holds

from voicehelper_operator.archives.export import Export, Sources
from voicehelper_operator.archives.restore import Restore
from voicehelper_operator.archives.vectors import TenantVectors

log = get_logger(__name__)
KEY_HEADER = "x-provisioning-key"
PLACED_SECONDS = 300.0
_LOOK_SECONDS, _BEAT_SECONDS = 0.3, 10.0
router = APIRouter(prefix="/archives", include_in_schema=False)


class ArchiveService:
    """What the routes do."""

    def __init__(
        self, store: ResourceStore, sources: Sources, vectors: TenantVectors, *, key: str, spool: str = ""
    ) -> None:
        self._store, self._sources, self._vectors = store, sources, vectors
        self._key, self._spool = key, spool or None
        self._importing: set[str] = set()

    def check(self, request: Request) -> None:
        """Raises PermissionDenied."""
        shown = request.headers.get(KEY_HEADER, "")
        if not self._key or not hmac.compare_digest(shown.encode(), self._key.encode()):
            raise PermissionDenied(f"show the provisioning key in the header '{KEY_HEADER}'")

    async def export(self, name: str) -> AsyncGenerator[bytes, None]:
        """The archive of a tenant that lives. Raises NotFound, Conflict, and StoreProblem also in the middle."""
        tenant = await self._store.get(Tenant, name)
        if tenant.metadata.deletion_timestamp is not None:
            raise Conflict(f"tenant/{name} is being deleted")
        if tenant.status.cell_id is None or tenant.status.tenant_id is None:
            raise Conflict(f"tenant/{name} is not placed yet: there is nothing to export")
        if RESTORING in tenant.metadata.annotations:
            raise Conflict(f"tenant/{name} is being restored from an archive")
        return Export(self._sources, tenant).stream()

    async def receive(self, body: AsyncIterator[bytes]) -> Path:
        """The archive as a file that nobody else reads."""
        descriptor, name = await asyncio.to_thread(tempfile.mkstemp, ".tar.gz", "import-", self._spool)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in body:
                    await asyncio.to_thread(file.write, chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    async def restore(self, path: Path, name: str) -> AsyncGenerator[dict[str, Any], None]:
        """Verify, wait for the Tenant that the control plane makes upon that, fill it; what happens, as it happens."""
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        verifying = asyncio.create_task(asyncio.to_thread(_verified, path))
        async for event in _until(verifying, told):
            yield event
        manifest, digest = verifying.result()
        name = name or manifest.tenant
        if name in self._importing:
            raise Conflict(f"tenant/{name} is being restored already")
        self._importing.add(name)
        try:
            yield {"event": "verified", "tenant": name, "digest": digest, **_summary(manifest)}
            yield {"event": "progress", "stage": "placing"}
            tenant = await self._placed(name, digest)

            def tell(stage: str, numbers: dict[str, Any]) -> None:
                told.put_nowait({"event": "progress", "stage": stage, **numbers})

            restore = Restore(self._sources, self._vectors, tenant, path=path, manifest=manifest, tell=tell)
            began = time.monotonic()
            task = asyncio.create_task(restore.run())
            try:
                async for event in _until(task, told):
                    yield event
                report = task.result()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            log.info("tenant restored", tenant_id=tenant.status.tenant_id, cell_id=tenant.status.cell_id)
            yield {
                "event": "restored",
                "tenant": name,
                "tenant_id": tenant.status.tenant_id,
                "cell": tenant.status.cell,
                "seconds": round(time.monotonic() - began, 2),
                **asdict(report),
            }
        finally:
            self._importing.discard(name)

    async def _placed(self, name: str, digest: str) -> Tenant:
        """The tenant with its slices and its identity; what keeps it from that, when it takes too long."""
        end, why = time.monotonic() + PLACED_SECONDS, "nobody has made it"
        while time.monotonic() < end:
            with suppress(NotFound):
                tenant = await self._store.get(Tenant, name)
                if tenant.metadata.annotations.get(RESTORING) == digest and tenant.spec.suspended:
                    generation = tenant.metadata.generation
                    conditions = tenant.status.conditions
                    if all(holds(conditions, kind, generation) for kind in ("SlicesReady", "IdentityReady")):
                        return tenant
                    why = _reason(tenant)
            await asyncio.sleep(_LOOK_SECONDS)
        raise Unavailable(f"tenant/{name} is not placed after {PLACED_SECONDS:g} s: {why}")


def _verified(path: Path) -> tuple[Manifest, str]:
    with path.open("rb") as file:
        return verify(file)


def _summary(manifest: Manifest) -> dict[str, Any]:
    kept = {"tenant", "tenant_id", "plan", "cell", "created_at", "resource", "users", "objects", "object_bytes"}
    text = manifest.model_dump(mode="json", include=kept)
    return {"archive": {**text, "rows": {table.title: table.rows for table in manifest.tables}}}


def _reason(tenant: Tenant) -> str:
    for kind in ("Accepted", "Placed", "SlicesReady", "IdentityReady"):
        for item in tenant.status.conditions:
            if item.type == kind and item.status != "True":
                return f"{kind}: {item.message or item.reason}"
    return "it is being made"


async def _until(task: asyncio.Task[Any], told: asyncio.Queue[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """What is told until the task ends, and a sign of life where nothing is: proxies end streams that are silent."""
    while not (task.done() and told.empty()):
        waiting = asyncio.create_task(told.get())
        await asyncio.wait({waiting, task}, timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            yield waiting.result()
            continue
        waiting.cancel()
        if not task.done():
            yield {"event": "progress", "stage": "working"}


@router.get("/tenants/{name}")
async def export(name: str, request: Request) -> StreamingResponse:
    """The archive."""
    service: ArchiveService = request.app.state.archives
    service.check(request)
    content = await service.export(name)
    first = [await anext(content), await anext(content)]  # a store that is away is an answer, not a broken stream
    return StreamingResponse(_continued(first, content), media_type="application/gzip")


async def _continued(first: list[bytes], rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        for chunk in first:
            yield chunk
        async for chunk in rest:
            yield chunk


@router.post("/import")
async def restore(request: Request, name: str = "") -> StreamingResponse:
    """Lines of JSON; the last one is ``restored`` or ``failed``."""
    service: ArchiveService = request.app.state.archives
    service.check(request)
    path = await service.receive(request.stream())
    return StreamingResponse(_lines(service, path, name), media_type="application/x-ndjson")


async def _lines(service: ArchiveService, path: Path, name: str) -> AsyncIterator[bytes]:
    try:
        async with aclosing(service.restore(path, name)) as events:
            async for event in events:
                yield json.dumps(event).encode() + b"\n"
    except Exception as error:
        known = expected(error) or AppError("something went wrong on our side")
        log.warning("import failed", error_type=type(error).__name__, error=str(error)[:500], exc_info=error)
        failure = {"event": "failed", "status": known.status, "code": known.code, "detail": known.detail}
        yield json.dumps(failure).encode() + b"\n"
    finally:
        path.unlink(missing_ok=True)
