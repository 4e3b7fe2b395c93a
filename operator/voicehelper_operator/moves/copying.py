"""Brings a move's target up to its source, and compares the two, over all stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import asyncpg
from voicehelper_core import faults, names
from voicehelper_core.milvus import MilvusClient

from voicehelper_operator.archives.objects import TenantObjects
from voicehelper_operator.archives.problems import reaching
from voicehelper_operator.archives.rows import connected
from voicehelper_operator.moves import answers, fence, objects, rows, vectors
from voicehelper_operator.moves.ends import Ends

_MILVUS_SECONDS = 60
_ORIGINALS = "documents"
"""Folder of a tenant's objects in which the originals of a document are, below its id."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What was found the same on both sides."""

    tables: int
    rows: int
    vectors: int
    objects: int


@dataclass(slots=True)
class _Checked:
    """Up to where both sides were found the same; forgotten with the process, which costs one whole comparison."""

    since: int
    documents: set[str] = field(default_factory=set)
    objects: int = 0


class Copier(Protocol):
    """What the reconciler of moves asks.

    Raises StoreProblem where a store is away, Unprocessable where both sides differ.
    """

    async def bring(self, ends: Ends) -> int:
        """One round; how much was behind."""
        ...

    async def check(self, ends: Ends) -> Compared:
        """One more round, and everything compared."""
        ...

    async def close_source(self, ends: Ends) -> None:
        """Let nothing more be written in the source, but by answers that have begun. Raises Unavailable."""
        ...

    async def open_source(self, ends: Ends) -> None:
        """Let it be written again."""
        ...

    async def finish(self, ends: Ends) -> Compared:
        """The last round, after the source was closed and since the last check, compared."""
        ...

    async def open_target(self, ends: Ends) -> None:
        """It may have been a source before."""
        ...

    async def answers(self, ends: Ends) -> int:
        """Bring what answers that the source was writing have got further; how many have not ended."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class StoreCopier:
    """Over the real stores."""

    def __init__(self, dsn: str, milvus_uri: str, tenant_objects: TenantObjects) -> None:
        self._dsn, self._objects = dsn, tenant_objects
        self._milvus = MilvusClient(milvus_uri, timeout=_MILVUS_SECONDS)
        self._checked: dict[Ends, _Checked] = {}

    async def close(self) -> None:
        await self._milvus.close()
        await self._objects.close()

    @asynccontextmanager
    async def _postgres(self) -> AsyncIterator[asyncpg.Connection]:
        with reaching("postgres"):
            async with connected(self._dsn) as connection:
                yield connection

    async def bring(self, ends: Ends) -> int:
        self._checked.pop(ends, None)
        async with self._postgres() as connection:
            async with connection.transaction(isolation="repeatable_read"):
                found = await rows.bring(connection, ends, await rows.pairs(connection, ends), None)
            await faults.point("operator.move.copy.effect")
            with reaching("milvus"):
                changed = await vectors.bring(self._milvus, connection, ends)
        with reaching("objects"):
            return found.lag + changed + await objects.bring(self._objects, ends)

    async def check(self, ends: Ends) -> Compared:
        async with self._postgres() as connection:
            async with connection.transaction(isolation="repeatable_read"):
                all_pairs = await rows.pairs(connection, ends)
                found = await rows.bring(connection, ends, all_pairs, None)
                total = await rows.compare(connection, ends, all_pairs, None)
                documents = await _documents(connection, ends.target, ends)
            with reaching("milvus"):
                await vectors.bring(self._milvus, connection, ends)
                held = await vectors.compare(self._milvus, connection, ends, values=True)
        with reaching("objects"):
            await objects.bring(self._objects, ends)
            stored = await objects.compare(self._objects, ends)
        self._checked[ends] = _Checked(found.since, documents, stored)
        return Compared(len(all_pairs), total, held, stored)

    async def close_source(self, ends: Ends) -> None:
        async with self._postgres() as connection:
            await fence.close(connection, ends.source, ends.tenant_id)

    async def open_source(self, ends: Ends) -> None:
        async with self._postgres() as connection:
            await fence.open_again(connection, ends.source, ends.tenant_id)

    async def open_target(self, ends: Ends) -> None:
        async with self._postgres() as connection:
            await fence.open_again(connection, ends.target, ends.tenant_id)

    async def finish(self, ends: Ends) -> Compared:
        known = self._checked[ends]
        await faults.point("operator.move.rest.before")
        async with self._postgres() as connection:
            async with connection.transaction(isolation="repeatable_read"):
                all_pairs = await rows.pairs(connection, ends)
                found = await rows.bring(connection, ends, all_pairs, known.since)
                touched = await _documents(connection, ends.source, ends, known.since)
                touched |= known.documents - await _documents(connection, ends.source, ends)
                await answers.claim(connection, ends)
                total = await rows.compare(connection, ends, all_pairs, known.since)
            with reaching("milvus"):
                if found.rows.get("knowledge.chunk_vectors"):
                    await vectors.bring(self._milvus, connection, ends)
                held = await vectors.compare(self._milvus, connection, ends, values=False)
        stored = known.objects
        with reaching("objects"):
            for document in touched:
                below = f"{_ORIGINALS}/{document}"
                await objects.bring(self._objects, ends, below=below)
                stored += await objects.compare(self._objects, ends, below=below)
        await faults.point("operator.move.rest.effect")
        return Compared(len(all_pairs), total, held, stored)

    async def answers(self, ends: Ends) -> int:
        self._checked.pop(ends, None)
        async with self._postgres() as connection:
            return await answers.bring(connection, ends, await rows.pairs(connection, ends))


async def _documents(connection: asyncpg.Connection, cell_id: str, ends: Ends, since: int | None = None) -> set[str]:
    """Ids of the tenant's documents, or of those that were written since."""
    table = f"{names.schema(cell_id, 'knowledge')}.documents"
    query = f"SELECT s.id FROM {table} s WHERE s.tenant_id = $1 AND {rows.newer(since)['s']}"
    return {str(row["id"]) for row in await connection.fetch(query, ends.tenant_id)}
