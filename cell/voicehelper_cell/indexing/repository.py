"""SQL of indexing. Every function runs in the tenant's transaction, under row-level security."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from voicehelper_core.context import TenantContext

from voicehelper_cell.embeddings import pack
from voicehelper_cell.indexing.models import LEASE_SECONDS, MAX_FAILURES, Indexed, Job, Passage

_PAGE = 500  # passages in one statement


_FREE = "($3 or attempts = 0 or retry_at <= now() or retry_at > now() + make_interval(secs => 2 * $2::float8))"


async def claim(connection: Any, document_ids: Sequence[uuid.UUID], lease_seconds: float, *, alone: bool) -> list[Job]:
    """Those that wait for indexing, counted and leased. One that ended its process too often fails here.

    ``alone``: no other process holds a lease, whatever the rows say. Otherwise a row that another process has leased,
    or that is to be tried again later, is left to its time; of two processes that claim one row, the first has it.
    """
    await connection.execute(
        "update documents set status = 'failed', updated_at = now(),"  # noqa: S608 (our own text)
        " error = case when error = '' then 'indexing it did not end' else error end"
        f" where id = any($1) and status = 'uploaded' and attempts - deferrals >= $4 and {_FREE}",
        document_ids,
        lease_seconds,
        alone,
        MAX_FAILURES,
    )
    rows = await connection.fetch(
        "update documents set attempts = attempts + 1,"  # noqa: S608 (our own text)
        " retry_at = now() + make_interval(secs => $2)"
        f" where id = any($1) and status = 'uploaded' and {_FREE} returning id, revision, title, text, attempts",
        document_ids,
        lease_seconds,
        alone,
    )
    return [Job(row["id"], row["revision"], row["title"], row["text"], row["attempts"]) for row in rows]


async def renew(connection: Any, jobs: Sequence[Job], lease_seconds: float) -> None:
    """The documents are still being worked on."""
    await connection.execute(
        "update documents set retry_at = now() + make_interval(secs => $2) where id in"
        " (select id from documents where id = any($1) and status = 'uploaded' order by id for update)",
        [job.document_id for job in jobs],
        lease_seconds,
    )


async def still_wanted(connection: Any, jobs: Sequence[Job]) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """Documents that still wait at the job's revision, and those that are gone or replaced.

    What is in neither was indexed by somebody else meanwhile. The rows are locked until the transaction ends.
    """
    rows = await connection.fetch(
        "select id, revision, status from documents where id = any($1) order by id for update",
        [job.document_id for job in jobs],
    )
    state = {row["id"]: (row["revision"], row["status"]) for row in rows}
    waiting = {job.document_id for job in jobs if state.get(job.document_id) == (job.revision, "uploaded")}
    gone = {job.document_id for job in jobs if state.get(job.document_id, (0, ""))[0] != job.revision}
    return waiting, gone


async def store(connection: Any, who: TenantContext, documents: Sequence[Indexed]) -> None:
    """Passages, postings and embeddings of the documents, which become ``indexed``."""
    ids = [document.job.document_id for document in documents]
    await connection.execute("delete from chunks where document_id = any($1)", ids)
    rows = [
        (document.job, passage, embedding)
        for document in documents
        for passage, embedding in zip(document.passages, document.embeddings, strict=True)
    ]
    for first in range(0, len(rows), _PAGE):
        page = rows[first : first + _PAGE]
        await _store_chunks(connection, who, page)
        await _store_postings(connection, who, [passage for _, passage, _ in page])
    await connection.execute(
        "update documents d set status = 'indexed', error = '', chunk_count = t.chunks, updated_at = now()"
        " from unnest($1::uuid[], $2::int[]) as t (id, chunks) where d.id = t.id",
        ids,
        [len(document.passages) for document in documents],
    )


async def _store_chunks(
    connection: Any, who: TenantContext, rows: Sequence[tuple[Job, Passage, Sequence[float]]]
) -> None:
    await connection.execute(
        "insert into chunks (id, tenant_id, document_id, revision, ordinal, start_offset, end_offset, text, term_count)"
        " select id, $1, document_id, revision, ordinal, start_offset, end_offset, text, term_count from unnest("
        "$2::uuid[], $3::uuid[], $4::bigint[], $5::int[], $6::int[], $7::int[], $8::text[], $9::int[])"
        " as t (id, document_id, revision, ordinal, start_offset, end_offset, text, term_count)",
        who.tenant_id,
        [passage.id for _, passage, _ in rows],
        [job.document_id for job, _, _ in rows],
        [job.revision for job, _, _ in rows],
        [passage.chunk.ordinal for _, passage, _ in rows],
        [passage.chunk.start for _, passage, _ in rows],
        [passage.chunk.end for _, passage, _ in rows],
        [passage.chunk.text for _, passage, _ in rows],
        [passage.terms.total() for _, passage, _ in rows],
    )
    await connection.execute(
        "insert into chunk_vectors (chunk_id, tenant_id, embedding)"
        " select chunk_id, $1, embedding from unnest($2::uuid[], $3::bytea[]) as t (chunk_id, embedding)",
        who.tenant_id,
        [passage.id for _, passage, _ in rows],
        [pack(embedding) for _, _, embedding in rows],
    )


async def _store_postings(connection: Any, who: TenantContext, passages: Sequence[Passage]) -> None:
    postings = [
        (term, passage.id, frequency, passage.terms.total())
        for passage in passages
        for term, frequency in passage.terms.items()
    ]
    await connection.execute(
        "insert into chunk_terms (tenant_id, term, chunk_id, frequency, term_count)"
        " select $1, term, chunk_id, frequency, term_count"
        " from unnest($2::text[], $3::uuid[], $4::int[], $5::int[]) as t (term, chunk_id, frequency, term_count)",
        who.tenant_id,
        [term for term, _, _, _ in postings],
        [chunk_id for _, chunk_id, _, _ in postings],
        [frequency for _, _, frequency, _ in postings],
        [count for _, _, _, count in postings],
    )


async def defer(connection: Any, jobs: Sequence[Job], reason: str, seconds: float) -> None:
    """Try again later, since a store or the model was away; this is not the documents' fault."""
    await _again(connection, jobs, reason, seconds, "deferrals = deferrals + 1,")


async def fail(connection: Any, jobs: Sequence[Job], reason: str, seconds: float) -> None:
    """Try again later, or never after too many failures."""
    await _again(
        connection,
        jobs,
        reason,
        seconds,
        f"status = case when attempts - deferrals >= {MAX_FAILURES} then 'failed' else status end,",
    )


async def _again(connection: Any, jobs: Sequence[Job], reason: str, seconds: float, change: str) -> None:
    await connection.execute(
        f"update documents d set {change} error = $3, updated_at = now(),"  # noqa: S608 (our own text)
        " retry_at = now() + make_interval(secs => $4) from unnest($1::uuid[], $2::bigint[]) as t (id, revision)"
        " where d.id = t.id and d.revision = t.revision and d.status = 'uploaded'",
        [job.document_id for job in jobs],
        [job.revision for job in jobs],
        reason[:500],
        seconds,
    )


async def due(connection: Any, limit: int) -> list[uuid.UUID]:
    """Documents that should have been indexed by now.

    Nobody asks for more than two leases: what waits for longer was written before the clock was set back.
    """
    rows = await connection.fetch(
        "select id from documents where status = 'uploaded'"
        " and (retry_at <= now() or retry_at > now() + make_interval(secs => $2)) order by retry_at limit $1",
        limit,
        2 * LEASE_SECONDS,
    )
    return [row["id"] for row in rows]


async def revisions(connection: Any) -> set[tuple[uuid.UUID, int]]:
    """All documents with the revision that counts."""
    return {(row["id"], row["revision"]) for row in await connection.fetch("select id, revision from documents")}


async def state(connection: Any, document_id: uuid.UUID) -> Any:
    """Status, error, revision and chunk count of a document, or None."""
    return await connection.fetchrow(
        "select status, error, revision, chunk_count from documents where id = $1", document_id
    )


async def chunk_count(connection: Any, who: TenantContext) -> int:
    """How many passages the tenant has."""
    return int(await connection.fetchval("select chunks from totals where tenant_id = $1", who.tenant_id) or 0)


async def chunk_documents(connection: Any) -> dict[str, str]:
    """Document ids of all passages."""
    rows = await connection.fetch("select id, document_id from chunks")
    return {str(row["id"]): str(row["document_id"]) for row in rows}


async def unfinished(connection: Any) -> set[str]:
    """Documents that somebody is indexing, or will: their vectors may come before their passages."""
    return {str(row["id"]) for row in await connection.fetch("select id from documents where status = 'uploaded'")}


async def embeddings(connection: Any, chunk_ids: Sequence[str]) -> list[Any]:
    """Kept embeddings of passages, with their document ids."""
    rows = await connection.fetch(
        "select v.chunk_id, c.document_id, v.embedding from chunk_vectors v join chunks c on c.id = v.chunk_id"
        " where v.chunk_id = any($1)",
        [uuid.UUID(chunk_id) for chunk_id in chunk_ids],
    )
    return list(rows)
