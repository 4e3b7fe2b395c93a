"""Reads and writes, with the semantics of the Kubernetes API."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from voicehelper_crds import KINDS, Resource

from voicehelper_core import errors
from voicehelper_core.embedded_store import removal, rows
from voicehelper_core.embedded_store.connection import session
from voicehelper_core.embedded_store.schema import LOCK
from voicehelper_core.embedded_store.watch import watch
from voicehelper_core.ports import Change
from voicehelper_core.resource_rules import (
    dump,
    refuse_creation,
    refuse_finalizers,
    refuse_replacement,
    same,
    validated,
)

R = TypeVar("R", bound=Resource)

_LISTED = 10_000
"""Resources that lists keep."""
_SELECT = "SELECT * FROM resources.objects WHERE kind = $1 AND name = $2"


class PostgresResourceStore:
    """``ports.ResourceStore`` in Postgres. ``pool`` comes from ``connect``; the schema from ``install``."""

    def __init__(self, pool: Any, *, poll_seconds: float = 2.0) -> None:
        self._pool = pool
        self._poll_seconds = poll_seconds
        self._listed: dict[uuid.UUID, Resource] = {}  # as the last list that had read it saw it

    async def get(self, kind: type[R], name: str) -> R:
        async with session(self._pool) as connection:
            return rows.to_resource(kind, rows.document(await _existing(connection, kind, name)))

    async def list(self, kind: type[R], labels: Mapping[str, str] | None = None) -> builtins.list[R]:
        """Reads and validates only what has changed since the last list: most of a long one never does."""
        async with session(self._pool) as connection:
            there = await connection.fetch(
                "SELECT uid, resource_version FROM resources.objects WHERE kind = $1 AND labels @> $2::jsonb"
                ' ORDER BY name COLLATE "C"',
                kind.kind_name,
                rows.to_json(dict(labels or {})),
            )
            wanted = [(row["uid"], str(row["resource_version"])) for row in there]
            if lacking := [int(version) for uid, version in wanted if not self._known(uid, version)]:
                for row in await connection.fetch(
                    "SELECT * FROM resources.objects WHERE resource_version = ANY($1)", lacking
                ):
                    self._listed[row["uid"]] = rows.to_resource(kind, rows.document(row))
            found = [self._known(uid, version) for uid, version in wanted]
        if None in found:  # it changed between the two questions
            return await self.list(kind, labels)
        while len(self._listed) > max(_LISTED, len(found)):
            self._listed.pop(next(iter(self._listed)))
        return [item.model_copy() for item in found if isinstance(item, kind)]

    def _known(self, uid: uuid.UUID, version: str) -> Resource | None:
        item = self._listed.get(uid)
        return item if item is not None and item.metadata.resource_version == version else None

    async def apply(self, manifest: Mapping[str, Any]) -> Resource:
        wanted, given = validated(manifest)
        async with session(self._pool) as connection:
            current = await connection.fetchrow(_SELECT, wanted.kind_name, wanted.metadata.name)
            if current and _replacement(current, wanted, given) is None:
                return rows.to_resource(type(wanted), rows.document(current))
        async with self._writing() as connection:
            current = await connection.fetchrow(_SELECT, wanted.kind_name, wanted.metadata.name)
            if current is None:
                return await _insert(connection, wanted)
            return await _replace(connection, current, wanted, given)

    async def create(self, manifest: Mapping[str, Any]) -> Resource:
        wanted, _ = validated(manifest)
        async with self._writing() as connection:
            if await connection.fetchrow(_SELECT, wanted.kind_name, wanted.metadata.name):
                raise errors.Conflict(f"{wanted.kind_name} '{wanted.metadata.name}' exists already")
            return await _insert(connection, wanted)

    async def update_status(self, kind: type[R], name: str, status: Any, *, resource_version: str | None = None) -> R:
        async with session(self._pool) as connection:
            current = await _existing(connection, kind, name)
            if _status(kind, current, status, resource_version) is None:
                return rows.to_resource(kind, rows.document(current))
        async with self._writing() as connection:
            current = await _existing(connection, kind, name)
            text = _status(kind, current, status, resource_version)
            if text is not None:
                current = await connection.fetchrow(
                    "UPDATE resources.objects SET status = $3::jsonb, resource_version = nextval('resources.version')"
                    " WHERE kind = $1 AND name = $2 RETURNING *",
                    kind.kind_name,
                    name,
                    text,
                )
        return rows.to_resource(kind, rows.document(current))

    async def set_finalizers(self, kind: type[R], name: str, finalizers: builtins.list[str]) -> None:
        async with self._writing() as connection:
            current = await _existing(connection, kind, name)
            refuse_finalizers(rows.to_resource(kind, rows.document(current)), finalizers)
            if current["deletion_timestamp"] and not finalizers:
                await removal.remove(connection, current)
            elif list(current["finalizers"]) != list(finalizers):
                await connection.execute(
                    "UPDATE resources.objects SET finalizers = $3, resource_version = nextval('resources.version')"
                    " WHERE kind = $1 AND name = $2",
                    kind.kind_name,
                    name,
                    finalizers,
                )

    async def delete(self, kind: type[R], name: str) -> None:
        async with self._writing() as connection:
            await removal.ask(connection, await _existing(connection, kind, name))

    def watch(self, *kinds: type[Resource]) -> AsyncIterator[Change]:
        return watch(self._pool, kinds or tuple(KINDS.values()), self._poll_seconds)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Any]:
        """A transaction whose versions are in order with those of all others."""
        async with session(self._pool) as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            yield connection
            await connection.execute("NOTIFY resources")


async def _existing(connection: Any, kind: type[Resource], name: str) -> Any:
    row = await connection.fetchrow(_SELECT, kind.kind_name, name) if name.isascii() and name.isprintable() else None
    if row is None:
        raise errors.NotFound(f"{kind.kind_name} '{name}' does not exist")
    return row


async def _insert(connection: Any, wanted: Resource) -> Resource:
    refuse_creation(wanted)
    meta = wanted.metadata
    row = await connection.fetchrow(
        "INSERT INTO resources.objects (kind, name, uid, generation, resource_version, labels, annotations, finalizers,"
        " owner_references, spec, status) VALUES ($1, $2, $3, 1, nextval('resources.version'), $4, $5, $6, $7,"
        " $8, '{}') RETURNING *",
        wanted.kind_name,
        meta.name,
        uuid.uuid4(),
        rows.to_json(meta.labels),
        rows.to_json(meta.annotations),
        meta.finalizers,
        rows.to_json([dump(item) for item in meta.owner_references]),
        rows.to_json(dump(wanted.spec)),  # type: ignore[attr-defined]
    )
    return rows.to_resource(type(wanted), rows.document(row))


def _replacement(row: Any, wanted: Resource, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Columns to write, None where nothing would change. Raises Conflict and InvalidArgument."""
    current = rows.to_resource(type(wanted), rows.document(row))
    refuse_replacement(current, wanted)
    meta, now = wanted.metadata, current.metadata
    if same(current, wanted, given):
        return None
    owners = meta.owner_references if "ownerReferences" in given else now.owner_references
    before, after = dump(current.spec), dump(wanted.spec)  # type: ignore[attr-defined]
    return {
        "generation": row["generation"] + (before != after),
        "labels": rows.to_json(meta.labels),
        "annotations": rows.to_json(meta.annotations),
        "owner_references": rows.to_json([dump(item) for item in owners]),
        "spec": rows.to_json(after),
    }


async def _replace(connection: Any, row: Any, wanted: Resource, given: Mapping[str, Any]) -> Resource:
    columns = _replacement(row, wanted, given)
    if columns is not None:
        row = await connection.fetchrow(
            "UPDATE resources.objects SET generation = $3, labels = $4, annotations = $5, owner_references = $6,"
            " spec = $7, resource_version = nextval('resources.version') WHERE kind = $1 AND name = $2 RETURNING *",
            row["kind"],
            row["name"],
            *columns.values(),
        )
    return rows.to_resource(type(wanted), rows.document(row))


def _status(kind: type[Resource], row: Any, status: Any, resource_version: str | None) -> str | None:
    """The status to write; None where it is the same. Raises Conflict."""
    if resource_version not in (None, str(row["resource_version"])):
        raise errors.Conflict(f"{kind.kind_name} '{row['name']}' has changed: read it again")
    wanted = dump(status)
    return None if rows.document(row)["status"] == wanted else rows.to_json(wanted)
