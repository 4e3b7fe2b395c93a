"""SQL of documents. Every function runs in the tenant's transaction, under row-level security."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from voicehelper_core.context import TenantContext

from voicehelper_cell.knowledge.models import Document, Totals, Upload

_COLUMNS = (
    "id, external_id, title, media_type, status, error, revision, size_bytes, chunk_count, created_at, updated_at"
)
_GRACE = "interval '10 seconds'"  # within it the event starts indexing; after it the sweep does


def _document(row: Any) -> Document:
    return Document(**dict(row))


async def lock(connection: Any, who: TenantContext) -> Totals:
    """The tenant's totals, locked: whoever changes documents or chunks takes this lock first."""
    row = await connection.fetchrow(
        "insert into totals as t (tenant_id) values ($1) on conflict (tenant_id)"
        " do update set documents = t.documents returning documents, size_bytes",
        who.tenant_id,
    )
    return Totals(row["documents"], row["size_bytes"])


async def get(connection: Any, document_id: uuid.UUID) -> Document | None:
    row = await connection.fetchrow(f"select {_COLUMNS} from documents where id = $1", document_id)  # noqa: S608
    return _document(row) if row else None


async def by_external_id(connection: Any, external_id: str) -> Document | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from documents where external_id = $1 and external_id <> ''",  # noqa: S608
        external_id,
    )
    return _document(row) if row else None


async def content(connection: Any, document_id: uuid.UUID) -> tuple[str, str] | None:
    """Title and text."""
    row = await connection.fetchrow("select title, text from documents where id = $1", document_id)
    return (row["title"], row["text"]) if row else None


async def page(
    connection: Any, *, limit: int, after: tuple[datetime, uuid.UUID] | None, external_id: str
) -> list[Document]:
    """Documents, newest first, behind ``after``."""
    moment, last = after or (None, None)
    rows = await connection.fetch(
        f"select {_COLUMNS} from documents"  # noqa: S608
        " where ($1::timestamptz is null or (created_at, id) < ($1, $2::uuid)) and ($3 = '' or external_id = $3)"
        " order by created_at desc, id desc limit $4",
        moment,
        last,
        external_id,
        limit,
    )
    return [_document(row) for row in rows]


async def insert(connection: Any, who: TenantContext, document_id: uuid.UUID, upload: Upload) -> Document:
    row = await connection.fetchrow(
        "insert into documents"  # noqa: S608
        " (id, tenant_id, external_id, title, media_type, size_bytes, text, created_by, retry_at)"
        f" values ($1, $2, $3, $4, $5, $6, $7, $8, now() + {_GRACE}) returning {_COLUMNS}",
        document_id,
        who.tenant_id,
        upload.external_id,
        upload.title,
        upload.media_type,
        len(upload.content),
        upload.text,
        who.user_id,
    )
    return _document(row)


async def replace(connection: Any, document_id: uuid.UUID, upload: Upload) -> Document:
    """A new revision. The old one's passages go at once: their offsets count another text."""
    await connection.execute("delete from chunks where document_id = $1", document_id)
    row = await connection.fetchrow(
        "update documents set title = $2, media_type = $3, size_bytes = $4, text = $5,"  # noqa: S608
        " status = 'uploaded', error = '',"
        " revision = revision + 1, chunk_count = 0, attempts = 0, deferrals = 0, updated_at = now(),"
        f" retry_at = now() + {_GRACE} where id = $1 returning {_COLUMNS}",
        document_id,
        upload.title,
        upload.media_type,
        len(upload.content),
        upload.text,
    )
    return _document(row)


async def delete(connection: Any, document_id: uuid.UUID) -> bool:
    await connection.execute("delete from chunks where document_id = $1", document_id)
    return str(await connection.execute("delete from documents where id = $1", document_id)) != "DELETE 0"


async def recall(connection: Any, who: TenantContext, route: str, key: str, hours: int) -> tuple[bytes, bytes] | None:
    """Hash of the request and the answer that the key had; forgets what is too old."""
    await connection.execute(
        "delete from idempotency where tenant_id = $1 and created_at < now() - make_interval(hours => $2)",
        who.tenant_id,
        hours,
    )
    row = await connection.fetchrow(
        "select request_hash, response from idempotency"
        " where tenant_id = $1 and user_id = $2 and route = $3 and key = $4",
        who.tenant_id,
        who.user_id,
        route,
        key,
    )
    return (bytes(row["request_hash"]), bytes(row["response"])) if row else None


async def remember(
    connection: Any, who: TenantContext, route: str, key: str, *, request_hash: bytes, response: bytes
) -> None:
    await connection.execute(
        "insert into idempotency (tenant_id, user_id, route, key, request_hash, response)"
        " values ($1, $2, $3, $4, $5, $6)",
        who.tenant_id,
        who.user_id,
        route,
        key,
        request_hash,
        response,
    )
