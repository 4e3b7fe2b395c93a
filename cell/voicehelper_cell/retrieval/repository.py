"""SQL of search: which passages there are, and what they say."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

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


async def alive(connection: Any, chunk_ids: Iterable[str]) -> set[str]:
    """Those whose document is there, at the revision that they were cut from."""
    ids = [uuid.UUID(chunk_id) for chunk_id in chunk_ids]
    rows = await connection.fetch(_ALIVE, ids) if ids else []
    return {str(row["id"]) for row in rows}


async def passages(connection: Any, chunk_ids: Iterable[str]) -> dict[str, Any]:
    """The passages by id."""
    rows = await connection.fetch(_HITS, [uuid.UUID(chunk_id) for chunk_id in chunk_ids])
    return {str(row["id"]): row for row in rows}
