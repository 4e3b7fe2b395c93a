"""Takes one tenant out of the stores as a stream of bytes; nothing is held but the part that is being read."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from voicehelper_core import names
from voicehelper_core.archive import ArchiveWriter, Manifest, Table
from voicehelper_core.archive.manifest import ADMIN, PART_BYTES, RESTORED, RESTORING
from voicehelper_core.ports import SecretStore
from voicehelper_crds import Tenant

from voicehelper_operator.archives import rows
from voicehelper_operator.archives.objects import TenantObjects
from voicehelper_operator.archives.problems import StoreProblem, reaching
from voicehelper_operator.archives.tables import TenantTable, revisions, tables
from voicehelper_operator.identity import IdentityUsers


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a tenant's data is."""

    dsn: str
    objects: TenantObjects
    users: IdentityUsers
    secrets: SecretStore


class Export:
    """One export. Iterate ``stream`` to its end; ``manifest`` is there then."""

    def __init__(self, sources: Sources, tenant: Tenant) -> None:
        assert tenant.status.tenant_id
        assert tenant.status.cell_id
        self._sources, self._tenant = sources, tenant
        self._tenant_id, self._cell_id = tenant.status.tenant_id, tenant.status.cell_id
        self._writer = ArchiveWriter()
        self._users = 0
        self._tables: list[Table] = []
        self.manifest: Manifest | None = None
        self.problem: StoreProblem | None = None
        """Why the stream ended too early, whatever its reader made of that."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The archive. Raises StoreProblem, and ends without a manifest then."""
        try:
            async for chunk in self._stream():
                yield chunk
        except StoreProblem as error:
            self.problem = error
            raise

    async def _stream(self) -> AsyncIterator[bytes]:
        writer = self._writer
        with reaching("postgres"):
            async with rows.connected(self._sources.dsn) as connection, rows.snapshot(connection):
                schemas = await revisions(connection, self._cell_id)
                yield writer.start()
                async for chunk in self._identity():
                    yield chunk
                for table in await tables(connection, self._cell_id):
                    async for chunk in self._rows(connection, table):
                        yield chunk
        async for chunk in self._objects():
            yield chunk
        self.manifest = self._described(schemas)
        yield await asyncio.to_thread(writer.manifest, self.manifest)

    async def _identity(self) -> AsyncIterator[bytes]:
        admin = await self._sources.secrets.get(names.admin_secret(self._tenant_id))
        if admin is not None:
            yield self._writer.part(ADMIN, json.dumps(admin).encode() + b"\n", 1)
        kept, count, part = bytearray(), 0, 0
        with reaching("identity"):
            async for user in self._sources.users.export_users(self._tenant_id):
                kept += json.dumps(user).encode() + b"\n"
                count += 1
                self._users += 1
                if len(kept) >= PART_BYTES:
                    part += 1
                    yield self._writer.part(f"users/{part:06d}.jsonl", bytes(kept), count)
                    kept, count = bytearray(), 0
        if kept:
            yield self._writer.part(f"users/{part + 1:06d}.jsonl", bytes(kept), count)

    async def _rows(self, connection: Any, table: TenantTable) -> AsyncIterator[bytes]:
        digest, count, number = hashlib.sha256(), 0, 0
        async for content in rows.read(connection, table, cell_id=self._cell_id, tenant_id=self._tenant_id):
            lines, number = content.count(b"\n"), number + 1
            digest.update(content)
            count += lines
            path = f"rows/{table.service}/{table.name}/{number:06d}.copy"
            yield await asyncio.to_thread(self._writer.part, path, content, lines)
        self._tables.append(
            Table(
                service=table.service,
                name=table.name,
                columns=list(table.columns),
                rows=count,
                sha256=digest.hexdigest(),
            )
        )

    async def _objects(self) -> AsyncIterator[bytes]:
        writer, objects = self._writer, self._sources.objects
        with reaching("objects"):
            async for key in objects.keys(self._cell_id, self._tenant_id):
                found = await objects.get(self._cell_id, self._tenant_id, key)
                if found is None:
                    continue  # replaced meanwhile
                size, chunks = found
                yield writer.begin_object(key, size)
                async for chunk in chunks:
                    yield await asyncio.to_thread(writer.object_data, chunk)
                yield writer.end_object()
        yield writer.index()

    def _described(self, schemas: dict[str, str]) -> Manifest:
        tenant = self._tenant
        return Manifest(
            created_at=datetime.now(UTC),
            tenant=tenant.metadata.name,
            tenant_id=self._tenant_id,
            plan=tenant.spec.plan_ref,
            cell=tenant.status.cell or "",
            cell_id=self._cell_id,
            resource=_resource(tenant),
            schemas=schemas,
            tables=self._tables,
            users=self._users,
            objects=self._writer.objects,
            object_bytes=self._writer.object_bytes,
            parts=self._writer.parts,
        )


def _resource(tenant: Tenant) -> dict[str, Any]:
    """What can be applied again."""
    document = tenant.model_dump(mode="json", by_alias=True, exclude_none=True)
    metadata = document["metadata"]
    kept = {key: metadata[key] for key in ("name", "labels", "annotations") if metadata.get(key)}
    annotations = {k: v for k, v in kept.get("annotations", {}).items() if k not in (RESTORING, RESTORED)}
    return {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "metadata": {**kept, "annotations": annotations},
        "spec": document["spec"],
    }
