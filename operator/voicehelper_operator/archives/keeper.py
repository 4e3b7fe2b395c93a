"""Makes the archive of a tenant that goes, beside the reconciler: a large one takes longer than a reconcile may."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from voicehelper_core import faults
from voicehelper_core.archive import ArchiveError
from voicehelper_core.errors import AppError
from voicehelper_core.log import get_logger
from voicehelper_crds import Tenant

from voicehelper_operator.archives.depot import Depot
from voicehelper_operator.archives.export import Export, Sources
from voicehelper_operator.archives.problems import StoreProblem, reaching

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Archived:
    """A verified archive."""

    location: str
    bytes: int
    digest: str
    """SHA-256 of the manifest."""

    def __str__(self) -> str:
        return f"{self.location} ({self.bytes} bytes, manifest sha256 {self.digest})"


class Keeper(Protocol):
    """For the reconciler of tenants."""

    async def archived(self, tenant: Tenant) -> Archived | None:
        """The archive, or None while it is being made. Raises StoreProblem, after which the next call begins anew."""
        ...


class BundleKeeper:
    """One task a tenant; all end with the process, and the next one begins from the start."""

    def __init__(self, sources: Sources, depot: Depot) -> None:
        self._sources, self._depot = sources, depot
        self._tasks: dict[str, asyncio.Task[Archived]] = {}

    async def archived(self, tenant: Tenant) -> Archived | None:
        tenant_id = str(tenant.status.tenant_id)
        task = self._tasks.get(tenant_id)
        if task is None:
            task = self._tasks[tenant_id] = asyncio.create_task(self._make(tenant), name=f"archive-{tenant_id}")
        await asyncio.wait({task}, timeout=_PATIENCE)
        if not task.done():
            return None
        del self._tasks[tenant_id]
        return task.result()

    async def _make(self, tenant: Tenant) -> Archived:
        export, name = Export(self._sources, tenant), name_of(tenant)
        try:
            with reaching("archives"):
                await faults.point("operator.archive.write.before")
                size = await self._depot.write(name, export.stream())
                await faults.point("operator.archive.write.effect")
                manifest, digest = await self._depot.verify(name)
                if manifest != export.manifest:
                    raise ArchiveError("what was read back is not what was written")
                location = await self._depot.keep(name)
                await faults.point("operator.archive.write.recorded")
        except AppError as error:
            with suppress(Exception):
                await self._depot.discard(name)
            # A store that the tenant is taken from, or the depot.
            raise export.problem or StoreProblem("archives", getattr(error, "why", error.detail)) from error
        log.info("tenant archived", tenant_id=manifest.tenant_id, bytes=size, objects=manifest.objects)
        return Archived(location, size, digest)

    async def close(self) -> None:
        """Stop what runs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._depot.close()


_PATIENCE = 2.0
"""Seconds that a reconcile waits: most archives are made within them."""


def name_of(tenant: Tenant) -> str:
    """``<tenant>-<tenantId>-<date>.tar.gz``; the date is that of the deletion, so that a second try has the same."""
    gone = tenant.metadata.deletion_timestamp
    assert gone is not None
    return f"{tenant.metadata.name}-{tenant.status.tenant_id}-{gone:%Y%m%dT%H%M%SZ}.tar.gz"
