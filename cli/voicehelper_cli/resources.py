"""Resources of a running platform: open the store, apply manifests, wait for conditions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from voicehelper_core import errors
from voicehelper_core.ports import EventRecorder, ResourceStore
from voicehelper_crds.models import Resource

from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure, NotRunning
from voicehelper_cli.kinds import AnyKind, kind_of, title
from voicehelper_cli.manifests import Manifest

Outcome = Literal["created", "configured", "unchanged"]
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Resources:
    """The store and the events of one platform."""

    store: ResourceStore
    events: EventRecorder


@asynccontextmanager
async def open_resources(home: Home) -> AsyncIterator[Resources]:
    """Connect to the platform's store. Raises NotRunning."""
    import asyncpg
    from voicehelper_core import embedded_store

    home.ports()
    dsn = await home.control_plane_dsn()
    try:
        pool = await embedded_store.connect(dsn)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        raise NotRunning from None
    try:
        yield Resources(embedded_store.PostgresResourceStore(pool), embedded_store.PostgresEventRecorder(pool))
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise Failure(f"the connection to the platform was lost: {error}") from None
    finally:
        pool.terminate()


async def find(store: ResourceStore, kind: AnyKind, name: str) -> Any:
    """A resource. Raises Failure where there is none."""
    try:
        return await store.get(kind, name)
    except errors.NotFound:
        raise Failure(f"{kind.kind_name.lower()}/{name} does not exist") from None


async def apply(store: ResourceStore, manifest: Manifest) -> tuple[Resource, Outcome]:
    """Apply one manifest. Raises Failure that names the place, the fields and the reasons."""
    before = await _before(store, manifest)
    try:
        after = await store.apply(manifest.document)
    except errors.AppError as error:
        raise Failure(_refusal(manifest, error)) from None
    if before is None:
        return after, "created"
    same = before.metadata.resource_version == after.metadata.resource_version
    return after, "unchanged" if same else "configured"


async def _before(store: ResourceStore, manifest: Manifest) -> Resource | None:
    try:
        kind = kind_of(str(manifest.document.get("kind")))
        found: Resource = await store.get(kind, str(manifest.document["metadata"]["name"]))
    except (errors.AppError, Failure, KeyError, TypeError):
        return None  # apply refuses what is wrong, with the reason
    return found


def _refusal(manifest: Manifest, error: errors.AppError) -> str:
    problems: Any = error.extra.get("errors") or []
    if not problems:
        return f"{manifest.place}: {manifest.title}: {error.detail}"
    lines = [f"  {problem.get('path') or '(document)'}: {problem.get('reason')}" for problem in problems]
    return "\n".join([f"{manifest.place}: {manifest.title} is refused:", *lines])


async def apply_all(
    store: ResourceStore, manifests: Iterable[Manifest]
) -> AsyncIterator[tuple[Manifest, Resource, Outcome] | Failure]:
    """Apply each manifest; a refused one does not keep the others."""
    for manifest in manifests:
        try:
            resource, outcome = await apply(store, manifest)
        except Failure as failure:
            yield failure
        else:
            yield manifest, resource, outcome


def condition(resource: Any, name: str) -> Any:
    """A condition of the resource's status by type, or None."""
    conditions = getattr(resource.status, "conditions", [])
    return next((item for item in conditions if item.type.lower() == name.lower()), None)


async def wait_condition(
    store: ResourceStore, kind: AnyKind, name: str, wanted: str, *, status: str = "True", timeout: float
) -> None:
    """Until the condition holds for the newest spec. Raises Failure with the condition's own words."""
    end = time.monotonic() + timeout
    while True:
        resource = await find(store, kind, name)
        found = condition(resource, wanted)
        current = found is not None and found.observed_generation >= (resource.metadata.generation or 0)
        if found is not None and current and found.status == status:
            return
        if time.monotonic() >= end:
            reason = _reason(found, current)
            raise Failure(f"{title(resource)}: {wanted} is not {status} after {timeout:g} s: {reason}")
        await asyncio.sleep(_POLL_SECONDS)


def _reason(found: Any, current: bool) -> str:
    if found is None:
        return "no such condition was reported yet"
    words = f"{found.reason}: {found.message}" if found.message else found.reason
    return words if current else f"{words} (of an older generation)"


async def wait_deleted(store: ResourceStore, kind: AnyKind, name: str, *, timeout: float) -> None:
    """Until the resource is gone. Raises Failure that names the finalizers."""
    end = time.monotonic() + timeout
    while True:
        try:
            resource = await store.get(kind, name)
        except errors.NotFound:
            return
        if time.monotonic() >= end:
            waits = ", ".join(resource.metadata.finalizers) or "nothing"
            raise Failure(f"{title(resource)} is still there after {timeout:g} s; its finalizers: {waits}")
        await asyncio.sleep(_POLL_SECONDS)
