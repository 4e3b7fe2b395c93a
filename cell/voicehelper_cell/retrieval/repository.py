"""SQL of search: BM25 over the tenant's postings, and the passages themselves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

K1, B = 1.2, 0.75

_SCORES = f"""
with postings as materialized (
    select term, chunk_id, frequency, term_count from chunk_terms where tenant_id = $1 and term = any($2)
), found as (
    select term, count(*)::float8 as n from postings group by term
), corpus as (
    select chunks::float8 as n, greatest(terms, 1)::float8 / greatest(chunks, 1) as average
    from totals where tenant_id = $1
), scored as (
    select p.chunk_id, sum(ln(1 + (corpus.n - found.n + 0.5) / (found.n + 0.5)) * p.frequency * {K1 + 1}
        / (p.frequency + {K1} * (1 - {B} + {B} * p.term_count / corpus.average))) as score
    from postings p join found using (term) cross join corpus group by p.chunk_id
)
(select chunk_id, score from scored order by score desc, chunk_id limit $3)
union
(select chunk_id, score from scored where chunk_id = any($4))
"""  # noqa: S608 (numbers only)

_HITS = """
select c.id, c.document_id, d.external_id, d.title, c.text, c.start_offset, c.end_offset, v.embedding
from chunks c
join documents d on d.id = c.document_id and d.revision = c.revision
left join chunk_vectors v on v.chunk_id = c.id
where c.id = any($1)
"""

_ALIVE = """
select c.id from chunks c join documents d on d.id = c.document_id and d.revision = c.revision where c.id = any($1)
"""


async def scores(
    connection: Any, tenant_id: str, terms: Sequence[str], limit: int, also: Iterable[str] = ()
) -> dict[str, float]:
    """BM25 of the best ``limit`` passages and of those in ``also`` that hold any of the terms, best first."""
    if not terms:
        return {}
    ids = [uuid.UUID(chunk_id) for chunk_id in also]
    rows = await connection.fetch(_SCORES, tenant_id, list(terms), limit, ids)
    found = sorted(((str(row["chunk_id"]), float(row["score"])) for row in rows), key=lambda item: (-item[1], item[0]))
    return dict(found)


async def alive(connection: Any, chunk_ids: Iterable[str]) -> set[str]:
    """Those whose document is there, at the revision that they were cut from."""
    ids = [uuid.UUID(chunk_id) for chunk_id in chunk_ids]
    rows = await connection.fetch(_ALIVE, ids) if ids else []
    return {str(row["id"]) for row in rows}


async def passages(connection: Any, chunk_ids: Iterable[str]) -> dict[str, Any]:
    """The passages by id."""
    rows = await connection.fetch(_HITS, [uuid.UUID(chunk_id) for chunk_id in chunk_ids])
    return {str(row["id"]): row for row in rows}
