"""What reconcilers, control plane, router and CLI need from the platform, whichever substrate it runs on.

The embedded adapters are in ``embedded_store`` (Postgres) and ``embedded_secrets`` (files); the Kubernetes
ones speak to its API.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol, TypeVar

from voicehelper_crds import Resource

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Change:
    """One delivery of a watch. ``synced`` ends the initial list (its resource is None).

    ``deleted`` carries the last state, or None where the watch was away for so long that nobody knows it.
    """

    type: Literal["applied", "deleted", "synced"]
    kind: str
    name: str
    resource: Resource | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a resource, for people."""

    kind: str
    name: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    count: int
    last_seen: str


class ResourceStore(Protocol):
    """Resources with generations, finalizers and watches, as the Kubernetes API has them."""

    async def get(self, kind: type[R], name: str) -> R:
        """Raises errors.NotFound."""
        ...

    async def list(self, kind: type[R], labels: Mapping[str, str] | None = None) -> list[R]:
        """All of a kind, by name. Their parts may be shared with other lists: copy what you want to change."""
        ...

    async def apply(self, manifest: Mapping[str, Any]) -> Resource:
        """Create, or replace the spec, labels and annotations; status and finalizers stay.

        Raises errors.InvalidArgument with ``errors=[{path, reason}]``; errors.Conflict when the resource is
        being deleted, or when ``metadata.resourceVersion`` is given and stale.
        """
        ...

    async def create(self, manifest: Mapping[str, Any]) -> Resource:
        """Like apply, but raises errors.Conflict where the resource exists."""
        ...

    async def update_status(self, kind: type[R], name: str, status: Any, *, resource_version: str | None = None) -> R:
        """Replace the status (a pydantic model); writes nothing when it is the same."""
        ...

    async def set_finalizers(self, kind: type[R], name: str, finalizers: builtins.list[str]) -> None:
        """Replace the finalizers; the last one to go takes a resource that is being deleted along."""
        ...

    async def delete(self, kind: type[R], name: str) -> None:
        """Ask for deletion (``deletionTimestamp``); without finalizers the resource goes at once.

        Raises errors.NotFound; errors.PermissionDenied where ``spec.deletion.protect`` holds.
        """
        ...

    def watch(self, *kinds: type[Resource]) -> AsyncIterator[Change]:
        """All resources of the kinds, ``synced``, then every change; relists after a lost connection."""
        ...


class SecretStore(Protocol):
    """Named bundles of secret strings."""

    async def get(self, name: str) -> dict[str, str] | None:
        """None where there is none."""
        ...

    async def put(self, name: str, data: Mapping[str, str]) -> None:
        """Replace the bundle, atomically."""
        ...

    async def delete(self, name: str) -> None:
        """No error where there is none."""
        ...


class EventRecorder(Protocol):
    """Kubernetes-style events: repeated ones are counted, not stored again."""

    async def record(self, resource: Resource, reason: str, message: str, *, warning: bool = False) -> None: ...

    async def events(self, kind: str, name: str) -> list[Event]: ...


class Lease(Protocol):
    """At most one holder at a time."""

    async def acquire(self, name: str, holder: str, duration: timedelta) -> bool:
        """True when ``holder`` has it (again) for ``duration``."""
        ...

    async def release(self, name: str, holder: str) -> None: ...
