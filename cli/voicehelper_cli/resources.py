"""Resources of a running platform: open the store, apply manifests, wait for conditions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from voicehelper_core import errors
from voicehelper_core.ports import EventRecorder, ResourceStore
from voicehelper_crds.models import Resource

from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure, NotRunning
from voicehelper_cli.kinds import AnyKind, kind_of
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
    pool = await embedded_store.connect(await home.control_plane_dsn())
    try:
        yield Resources(embedded_store.PostgresResourceStore(pool), embedded_store.PostgresEventRecorder(pool))
    except (errors.Unavailable, asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise NotRunning from None
    except errors.AppError as error:
        raise Failure(error.detail) from None
    except asyncpg.PostgresError as error:
        raise Failure(f"the resource store refused: {error}") from None
    finally:
        await pool.close()


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
    except errors.Unavailable:
        raise
    except errors.AppError as error:
        raise Failure(_refusal(manifest, error)) from None
    if before is None:
        return after, "created"
    return after, "unchanged" if _wanted(before) == _wanted(after) else "configured"


def _wanted(resource: Resource) -> tuple[Any, ...]:
    """What apply writes; the reconcilers may have written the rest meanwhile."""
    metadata = resource.metadata
    return metadata.uid, metadata.generation, metadata.labels, metadata.annotations


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
        found, current = None, False
        with suppress(errors.Unavailable):  # Postgres may restart meanwhile
            resource = await find(store, kind, name)
            found = condition(resource, wanted)
            current = found is not None and found.observed_generation >= (resource.metadata.generation or 0)
        if found is not None and current and found.status == status:
            return
        if time.monotonic() >= end:
            what = f"{kind.kind_name.lower()}/{name}: {wanted}"
            raise Failure(f"{what} is not {status} after {timeout:g} s: {_reason(found, current)}")
        await asyncio.sleep(_POLL_SECONDS)


def _reason(found: Any, current: bool) -> str:
    if found is None:
        return "no such condition was reported yet"
    words = f"{found.reason}: {found.message}" if found.message else found.reason
    return words if current else f"{words} (of an older generation)"


async def wait_deleted(store: ResourceStore, kind: AnyKind, name: str, *, timeout: float) -> None:
    """Until the resource is gone. Raises Failure that names the finalizers."""
    end = time.monotonic() + timeout
    waits: list[str] = []
    while True:
        try:
            waits = (await store.get(kind, name)).metadata.finalizers
        except errors.NotFound:
            return
        except errors.Unavailable:
            pass
        if time.monotonic() >= end:
            what = f"{kind.kind_name.lower()}/{name}"
            raise Failure(f"{what} is still there after {timeout:g} s; its finalizers: {', '.join(waits) or 'none'}")
        await asyncio.sleep(_POLL_SECONDS)
