"""Makes uploaded documents searchable: cut, embed, write vectors, then passages in one transaction.

The order lets every crash be repaired by running again. Vectors come first, under ids that nobody looks up
until Postgres holds their passages; then passages, postings, status and event become visible at once. A
document that was replaced or deleted meanwhile is left alone and its new vectors are removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from voicehelper_core import context, faults, postgres
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import AppError, Conflict, NotFound, Unavailable, Unprocessable
from voicehelper_core.events import DocumentIndexed
from voicehelper_core.log import get_logger

from voicehelper_cell import outbox
from voicehelper_cell.embeddings import embed
from voicehelper_cell.indexing import repository
from voicehelper_cell.indexing.models import LEASE_SECONDS, Indexed, Job, passages
from voicehelper_cell.knowledge.repository import lock
from voicehelper_cell.vectors import Vector

log = get_logger(__name__)
_EMBED_SECONDS = 120.0
_INSERT = 500
_WAIT_SECONDS = 5.0
_AWAY: tuple[type[Exception], ...] = (Unavailable, *postgres.LOST)
"""A store is away, which is no document's fault."""


class IndexingService:
    """Indexes documents of the tenant whose context is given."""

    def __init__(self, database: Any, vectors: Any, inference: Any, *, alone: bool = True) -> None:
        self._database, self._vectors, self._inference = database, vectors, inference
        self._alone = alone  # no other process indexes for this cell
        self.lease_seconds: float = LEASE_SECONDS
        self.busy: set[uuid.UUID] = set()
        """Documents that are being indexed in this process."""

    async def index_now(self, who: TenantContext, document_id: str, revision: int) -> int:
        """Index a document at once and count its passages. Raises NotFound, Conflict, Unprocessable, Unavailable."""
        try:
            wanted = uuid.UUID(document_id)
        except ValueError:
            raise NotFound("there is no document with this id") from None
        await self.process(who, [wanted])
        async with self._database.tenant(who) as connection:
            state = await repository.state(connection, wanted)
        if state is None:
            raise NotFound("there is no document with this id")
        if revision not in (0, state["revision"]):
            raise Conflict(f"the document is at revision {state['revision']}")
        if state["status"] == "failed":
            raise Unprocessable(f"the document could not be indexed: {state['error']}")
        if state["status"] != "indexed":
            raise Unavailable(state["error"] or "the document is being indexed: try again in a moment")
        return int(state["chunk_count"])

    async def process(self, who: TenantContext, document_ids: Sequence[uuid.UUID]) -> float | None:
        """Index what of the documents waits for it; None when all is well, else seconds until the next try."""
        wanted = [document_id for document_id in dict.fromkeys(document_ids) if document_id not in self.busy]
        if not wanted:
            return None
        self.busy.update(wanted)
        try:
            with context.use(who):
                await faults.point("indexing.claim.before")
                async with self._database.tenant(who) as connection:
                    jobs = await repository.claim(connection, wanted, self.lease_seconds, alone=self._alone)
                await faults.point("indexing.claim.recorded")
                if not jobs:
                    return None
                async with self._leased(who, jobs):
                    return await self._attempt(who, jobs)
        finally:
            self.busy.difference_update(wanted)

    @asynccontextmanager
    async def _leased(self, who: TenantContext, jobs: Sequence[Job]) -> AsyncIterator[None]:
        """Keep the jobs' leases; where that fails, another process may do the work as well, which does no harm."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self.lease_seconds / 3)
                with contextlib.suppress(*_AWAY):
                    async with self._database.tenant(who) as connection:
                        await repository.renew(connection, jobs, self.lease_seconds)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def settle(self) -> None:
        """Nothing is waiting: a good moment for the vectors' housekeeping."""
        await self._vectors.settle()

    async def _attempt(self, who: TenantContext, jobs: Sequence[Job]) -> float | None:
        try:
            await self._index(who, jobs)
        except _AWAY as error:
            reason = error.detail if isinstance(error, Unavailable) else "a store is not available"
            log.warning("indexing waits", documents=len(jobs), reason=reason)
            async with self._database.tenant(who) as connection:
                await repository.defer(connection, jobs, reason, _WAIT_SECONDS)
            return _WAIT_SECONDS
        except Exception as error:
            if len(jobs) > 1:  # find out which one it is
                again = [replace(job, attempts=job.attempts + 1) for job in jobs]  # its vectors may be there already
                waits = [await self._attempt(who, [job]) for job in again]
                return min((wait for wait in waits if wait is not None), default=None)
            return await self._failed(who, jobs[0], error)
        return None

    async def _failed(self, who: TenantContext, job: Job, error: Exception) -> float:
        reason = error.detail if isinstance(error, AppError) else f"{type(error).__name__} while indexing"
        log.error(
            "indexing failed", document_id=str(job.document_id), attempt=job.attempts, reason=reason, exc_info=error
        )
        wait = float(min(0.5 * 2**job.attempts, 60.0))
        async with self._database.tenant(who) as connection:
            await repository.fail(connection, [job], reason, wait)
        return wait

    async def _index(self, who: TenantContext, jobs: Sequence[Job]) -> None:
        cut = await asyncio.to_thread(lambda: [passages(job) for job in jobs])
        texts = [passage.model_text for document in cut for passage in document]
        vectors = iter(await embed(self._inference, texts, caller="indexing", timeout=_EMBED_SECONDS))
        documents = [Indexed(job, found, [next(vectors) for _ in found]) for job, found in zip(jobs, cut, strict=True)]
        await faults.point("indexing.store.before")
        known = [str(job.document_id) for job in jobs if not job.fresh]
        await self._vectors.delete_documents(who, known)
        await self._insert(who, documents)
        await faults.point("indexing.store.effect")
        async with self._database.tenant(who) as connection:
            await lock(connection, who)
            waiting, gone = await repository.still_wanted(connection, jobs)
            kept = [document for document in documents if document.job.document_id in waiting]
            if kept:
                await repository.store(connection, who, kept)
                await self._publish(connection, who, kept)
        await faults.point("indexing.store.recorded")
        stale = [document for document in documents if document.job.document_id in gone]
        await self._vectors.delete_chunks(who, [str(passage.id) for one in stale for passage in one.passages])
        for document in kept:
            job = document.job
            log.info("document indexed", document_id=str(job.document_id), chunks=len(document.passages))

    async def _insert(self, who: TenantContext, documents: Sequence[Indexed]) -> None:
        rows = [
            Vector(str(passage.id), str(document.job.document_id), embedding)
            for document in documents
            for passage, embedding in zip(document.passages, document.embeddings, strict=True)
        ]
        for first in range(0, len(rows), _INSERT):
            await self._vectors.insert(who, rows[first : first + _INSERT])

    async def _publish(self, connection: Any, who: TenantContext, documents: Sequence[Indexed]) -> None:
        for document in documents:
            count = len(document.passages)
            await outbox.publish(
                connection,
                who,
                DocumentIndexed(document_id=document.job.document_id, chunk_count=count, vector_count=count),
                aggregate_id=str(document.job.document_id),
                aggregate_type="document",
            )
