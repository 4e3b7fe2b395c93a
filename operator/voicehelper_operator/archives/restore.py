"""Puts a verified archive into the cell of a tenant that was made for it. Begun anew as often as it takes.

The tenant is suspended meanwhile, so its cell answers nobody and leaves its documents alone. Its rows come in one
transaction, in which they are also compared with the manifest; what an earlier try left behind is removed first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from voicehelper_core import faults, names
from voicehelper_core.archive import ArchiveError, Manifest, Member, members
from voicehelper_core.archive.manifest import ADMIN, INDEX_SUFFIX, MANIFEST, OBJECTS, ROWS, USERS
from voicehelper_core.errors import AppError, Unprocessable
from voicehelper_crds import Tenant

from voicehelper_operator.archives import rows
from voicehelper_operator.archives.export import Sources
from voicehelper_operator.archives.problems import reaching
from voicehelper_operator.archives.tables import TenantTable, revisions, tables
from voicehelper_operator.archives.vectors import TenantVectors

_OBJECT_BYTES = 512 * 2**20
"""More than a cell takes of one document."""
_BEHIND = {USERS: (ROWS, OBJECTS), ROWS: (OBJECTS,), OBJECTS: (MANIFEST,)}
"""What has no member of the kind behind it any more."""
Tell = Callable[[str, dict[str, Any]], None]
"""Is told how far a restore is: a stage, and numbers."""


@dataclass(slots=True)
class Report:
    """What was restored; everything was compared with the manifest."""

    rows: dict[str, int] = field(default_factory=dict)
    users: int = 0
    renamed_users: int = 0
    objects: int = 0
    object_bytes: int = 0
    vectors: int = 0


class Restore:
    """One restore."""

    def __init__(
        self, sources: Sources, vectors: TenantVectors, tenant: Tenant, *, path: Path, manifest: Manifest, tell: Tell
    ) -> None:
        assert tenant.status.tenant_id
        assert tenant.status.cell_id
        self._sources, self._vectors, self._path, self._manifest = sources, vectors, path, manifest
        self._name, self._tenant_id, self._cell_id = (
            tenant.metadata.name,
            tenant.status.tenant_id,
            tenant.status.cell_id,
        )
        self._tell, self._report = tell, Report()
        self._users: list[dict[str, Any]] = []
        self._admin: dict[str, str] | None = None
        self._renamed: dict[bytes, bytes] = {}

    async def run(self) -> Report:
        """Raises StoreProblem, Conflict, Unprocessable; nothing is visible of a restore that failed."""
        self._tell("users", {})
        await self._identity()
        with reaching("postgres"):
            async with rows.connected(self._sources.dsn) as connection:
                await self._rows(connection)
                with reaching("milvus"):
                    self._tell("vectors", {})
                    await self._make_vectors(connection)
        await self._objects()
        await self._keep_admin()
        return self._report

    async def _each(self, prefix: str) -> AsyncIterator[Member]:
        """The members below a prefix; each is read before the next one is asked for."""

        def opened() -> Generator[Member, None, None]:
            with self._path.open("rb") as file:
                yield from members(file)

        found = opened()
        try:
            while (member := await asyncio.to_thread(next, found, None)) is not None:
                if member.path.startswith(prefix):
                    yield member
                elif member.path.startswith(_BEHIND[prefix]):
                    return
        finally:
            found.close()

    async def _identity(self) -> None:
        """The users first: rows name them, and an id may be somebody else's here."""
        async for member in self._each(USERS):
            content = await asyncio.to_thread(member.content)
            try:
                lines = [json.loads(line) for line in content.splitlines()]
            except ValueError:
                raise ArchiveError(f"{member.path} cannot be read") from None
            if member.path == ADMIN:
                self._admin = {str(key): str(value) for key, value in lines[0].items()}
            else:
                self._users += lines
        with reaching("identity"):
            renamed = await self._sources.users.import_users(self._name, self._tenant_id, self._users)
        self._renamed = {old.encode(): new.encode() for old, new in renamed.items()}
        self._report.users, self._report.renamed_users = len(self._users), len(renamed)

    async def _rows(self, connection: asyncpg.Connection) -> None:
        here = {table.key: table for table in await tables(connection, self._cell_id)}
        await self._fits(connection, here)
        async with connection.transaction():
            await rows.settle(connection)
            await self._empty(connection, list(here.values()))
            columns = {(table.service, table.name): table.columns for table in self._manifest.tables}
            done, total = 0, sum(table.rows for table in self._manifest.tables)
            async for member in self._each(ROWS):
                _, service, name, _ = member.path.split("/")
                table = here[service, name]
                content = await asyncio.to_thread(member.content)
                done += content.count(b"\n")
                if table.derived:
                    continue  # the triggers of the other tables have made them
                listed = columns[service, name]
                content = await asyncio.to_thread(rows.renamed, content, listed, self._renamed)
                await rows.write(connection, table, listed, content, tenant_id=self._tenant_id)
                self._tell("rows", {"done": done, "total": total})
            self._tell("comparing", {})
            await self._compare(connection, here)
            await faults.point("operator.restore.rows.before")
        await faults.point("operator.restore.rows.recorded")

    async def _fits(self, connection: asyncpg.Connection, here: dict[tuple[str, str], TenantTable]) -> None:
        """Whether the cell's schemas take the archive's rows. Raises Unprocessable that says what to do."""
        found = await revisions(connection, self._cell_id)
        for service, revision in self._manifest.schemas.items():
            if service not in found:
                raise Unprocessable(f"the cell has no schema '{service}': it runs an older release")
            if revision > found[service]:
                raise Unprocessable(
                    f"the archive's schema '{service}' has revision {revision}, the cell's {found[service]}:"
                    " bring the cell to a newer release first"
                )
        for table in self._manifest.tables:
            known = here.get((table.service, table.name))
            if known is None:
                raise Unprocessable(f"the cell has no table {table.title}, of which the archive has {table.rows} rows")
            unknown = sorted(set(table.columns) - set(known.columns))
            if unknown:
                raise Unprocessable(f"the cell's {table.title} has no column {', '.join(unknown)}")

    async def _empty(self, connection: asyncpg.Connection, found: list[TenantTable]) -> None:
        """What an earlier try left; all rows of the tenant go, so no reference dangles."""
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table in found:
            await connection.execute(
                f"DELETE FROM {table.schema}.{table.name} WHERE tenant_id = $1",
                self._tenant_id,
            )
        await connection.execute("SET LOCAL session_replication_role = origin")

    async def _compare(self, connection: asyncpg.Connection, here: dict[tuple[str, str], TenantTable]) -> None:
        """As Postgres has the rows now. Raises AppError, and nothing of them stays."""
        for table in self._manifest.tables:
            known = here[table.service, table.name]
            found = await rows.summed(
                connection, known, table.columns, cell_id=self._cell_id, tenant_id=self._tenant_id, users=self._renamed
            )
            self._report.rows[table.title] = found.rows
            if not known.derived and (found.rows, found.sha256) != (table.rows, table.sha256):
                raise AppError(
                    f"{table.title}: {found.rows} rows came out of {table.rows}, or with other values: nothing was kept"
                )

    async def _make_vectors(self, connection: asyncpg.Connection) -> None:
        await faults.point("operator.restore.vectors.before")
        made = await self._vectors.rebuild(connection, self._cell_id, self._tenant_id)
        wanted = self._manifest.rows("knowledge", "chunk_vectors")
        if made != wanted:
            raise AppError(f"Milvus has {made} vectors of {wanted}")
        self._report.vectors = made
        await faults.point("operator.restore.vectors.effect")

    async def _objects(self) -> None:
        report, manifest, objects = self._report, self._manifest, self._sources.objects
        await faults.point("operator.restore.objects.before")
        with reaching("objects"):
            await objects.clear(self._cell_id, self._tenant_id)
            async for member in self._each(OBJECTS):
                if member.path.endswith(INDEX_SUFFIX):
                    continue
                content = await asyncio.to_thread(member.content, _OBJECT_BYTES)
                await objects.put(self._cell_id, self._tenant_id, member.key, content)
                report.objects += 1
                report.object_bytes += len(content)
                if report.objects % 100 == 0:
                    self._tell("objects", {"done": report.objects, "total": manifest.objects})
            there = 0
            async for _ in objects.keys(self._cell_id, self._tenant_id):
                there += 1
        if there != manifest.objects:
            raise AppError(f"the object store has {there} objects of {manifest.objects}")
        await faults.point("operator.restore.objects.effect")

    async def _keep_admin(self) -> None:
        """The first admin logs in as before: identity has the old password now."""
        if self._admin is not None:
            secret = {**self._admin, "tenant": self._name}
            await self._sources.secrets.put(names.admin_secret(self._tenant_id), secret)
