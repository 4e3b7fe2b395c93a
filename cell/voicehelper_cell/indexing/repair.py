"""What is checked from time to time: documents that nobody indexed, vectors that are missing, what is too much."""

from __future__ import annotations

from typing import Any

from voicehelper_core.context import TenantContext
from voicehelper_core.log import get_logger

from voicehelper_cell.embeddings import unpack
from voicehelper_cell.indexing import repository
from voicehelper_cell.indexing.queue import IndexingQueue
from voicehelper_cell.indexing.service import IndexingService
from voicehelper_cell.knowledge.objects import Objects
from voicehelper_cell.knowledge.repository import lock
from voicehelper_cell.vectors import Vector

log = get_logger(__name__)
_SWEEP = 1000
_PAGE = 500


class Repair:
    """Checks one tenant; running it at any time does no harm."""

    def __init__(
        self, database: Any, vectors: Any, service: IndexingService, queue: IndexingQueue, objects: Objects
    ) -> None:
        self._database, self._vectors, self._objects = database, vectors, objects
        self._service, self._queue = service, queue

    async def sweep(self, who: TenantContext) -> int:
        """Queue the documents that should have been indexed by now; how many there were."""
        async with self._database.tenant(who) as connection:
            due = await repository.due(connection, _SWEEP)
        if due:
            await self._queue.add(who, due)
        return len(due)

    async def originals(self, who: TenantContext) -> int:
        """Remove the bytes of revisions that no document has; how many.

        An upload writes them before its row and may die in between. What was there before the tenant's lock was taken
        belongs to an upload that has ended by now, and none can begin before the lock is given back.
        """
        present = await self._objects.revisions(who)
        async with self._database.tenant(who) as connection:
            if present <= await repository.revisions(connection):
                return 0  # without the lock, which is a write
            await lock(connection, who)
            extra = present - await repository.revisions(connection)
            await self._objects.remove(who, extra)
        if extra:
            log.warning("originals without a document removed", removed=len(extra))
        return len(extra)

    async def vectors(self, who: TenantContext) -> tuple[int, int]:
        """Make the tenant's vectors those of its passages; how many were added and removed.

        Milvus is only read in full where the counts differ. Embeddings are kept in Postgres, so that a lost
        collection is rebuilt without the model.
        """
        async with self._database.tenant(who) as connection:
            expected = await repository.chunk_count(connection, who)
        await self._vectors.settle()
        if await self._vectors.count(who) == expected:
            return 0, 0
        present = await self._vectors.chunks(who)
        async with self._database.tenant(who) as connection:
            wanted = await repository.chunk_documents(connection)
            busy = await repository.unfinished(connection)
        busy |= {str(document_id) for document_id in self._service.busy}
        extra = [
            key
            for key, (document_id, times) in present.items()
            if (key not in wanted or times > 1) and document_id not in busy
        ]
        removed = set(extra)
        missing = [
            key
            for key, document_id in wanted.items()
            if (key not in present or key in removed) and document_id not in busy
        ]
        if missing:  # passages that another process wrote since the first look have their vectors now
            later = await self._vectors.chunks(who)
            missing = [key for key in missing if key not in later or key in removed]
        for first in range(0, len(extra), _PAGE):
            await self._vectors.delete_chunks(who, extra[first : first + _PAGE])
        added = 0
        for first in range(0, len(missing), _PAGE):
            async with self._database.tenant(who) as connection:
                rows = await repository.embeddings(connection, missing[first : first + _PAGE])
            await self._vectors.insert(
                who,
                [Vector(str(row["chunk_id"]), str(row["document_id"]), unpack(row["embedding"])) for row in rows],
            )
            added += len(rows)
        await self._vectors.settle()
        if added or extra:
            log.warning("vectors repaired", added=added, removed=len(extra), expected=expected)
        return added, len(extra)
