"""A tenant's documents. An upload is one transaction: the row, its event, and the answer for its idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from voicehelper_core import faults
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument, NotFound, QuotaExceeded, TooLarge, Unprocessable
from voicehelper_core.events import DocumentDeleted, DocumentUploaded
from voicehelper_core.log import get_logger

from voicehelper_cell import outbox, pagination
from voicehelper_cell.knowledge import repository
from voicehelper_cell.knowledge.extract import MAX_EXTERNAL_ID, MAX_TITLE, extract, line, media_type
from voicehelper_cell.knowledge.models import ROUTE, Document, Totals, Upload
from voicehelper_cell.knowledge.objects import Objects

log = get_logger(__name__)
MAX_PAGE = 100
_MAX_KEY = 255
Limits = Callable[[TenantContext], Awaitable[Mapping[str, Any]]]
"""The tenant's limits, from its placement: ``documents``, ``storage_bytes``; missing or None is unlimited."""
Encode = Callable[[Document], bytes]
"""The answer in the form in which it is kept for an idempotency key."""


class KnowledgeService:
    """Uploads, lists and deletes the documents of the tenant whose context is given."""

    def __init__(
        self, database: Any, objects: Objects, limits: Limits, *, max_bytes: int, idempotency_hours: int
    ) -> None:
        self._database, self._objects, self._limits = database, objects, limits
        self._max_bytes, self._hours = max_bytes, idempotency_hours

    async def upload(
        self,
        who: TenantContext,
        content: bytes,
        *,
        kind: str,
        title: str,
        external_id: str,
        idempotency_key: str,
        encode: Encode,
    ) -> bytes:
        """Store a document, or replace the one with the same external id; indexing follows by event."""
        upload = await self._checked(content, kind, title, external_id, idempotency_key)
        limits = await self._limits(who)
        async with self._database.tenant(who) as connection:
            totals = await repository.lock(connection, who)
            if upload.idempotency_key:
                known = await repository.recall(connection, who, ROUTE, upload.idempotency_key, self._hours)
                if known is not None:
                    if known[0] != upload.request_hash:
                        raise Unprocessable("this Idempotency-Key was used for another request: use a new key")
                    return known[1]
            document = await self._store(connection, who, upload, totals, limits)
            answer = encode(document)
            if upload.idempotency_key:
                await repository.remember(
                    connection,
                    who,
                    ROUTE,
                    upload.idempotency_key,
                    request_hash=upload.request_hash,
                    response=answer,
                )
        await faults.point("knowledge.upload.recorded")
        log.info("document uploaded", document_id=str(document.id), revision=document.revision)
        return answer

    async def get(self, who: TenantContext, document_id: str) -> Document:
        """Raises NotFound."""
        async with self._database.tenant(who) as connection:
            document = await repository.get(connection, pagination.identifier(document_id, "document"))
        if document is None:
            raise NotFound("there is no document with this id")
        return document

    async def content(self, who: TenantContext, document_id: str) -> tuple[str, str]:
        """Title and extracted text. Raises NotFound."""
        async with self._database.tenant(who) as connection:
            found = await repository.content(connection, pagination.identifier(document_id, "document"))
        if found is None:
            raise NotFound("there is no document with this id")
        return found

    async def list(
        self, who: TenantContext, *, limit: int, cursor: str, external_id: str
    ) -> tuple[list[Document], str]:
        """A page, newest first, and the cursor of the next one ('' after the last)."""
        if not 0 <= limit <= MAX_PAGE:
            raise InvalidArgument(f"limit: must be from 1 to {MAX_PAGE}")
        limit = limit or 20
        async with self._database.tenant(who) as connection:
            found = await repository.page(
                connection,
                limit=limit + 1,
                after=pagination.decode_time(cursor),
                external_id=line(external_id, MAX_EXTERNAL_ID),
            )
        more = len(found) > limit
        last = found[limit - 1] if more else None
        return found[:limit], pagination.encode(last.created_at.isoformat(), last.id) if last else ""

    async def delete(self, who: TenantContext, document_id: str) -> None:
        """Remove a document: no search finds it any more. Vectors and originals follow by event."""
        wanted = pagination.identifier(document_id, "document")
        async with self._database.tenant(who) as connection:
            await repository.lock(connection, who)
            if not await repository.delete(connection, wanted):
                raise NotFound("there is no document with this id")
            await outbox.publish(
                connection,
                who,
                DocumentDeleted(document_id=wanted),
                aggregate_id=str(wanted),
                aggregate_type="document",
            )
            await faults.point("knowledge.delete.before")
        await faults.point("knowledge.delete.recorded")
        log.info("document deleted", document_id=str(wanted))

    async def _checked(self, content: bytes, kind: str, title: str, external_id: str, key: str) -> Upload:
        if len(content) > self._max_bytes:
            raise TooLarge(f"content: at most {self._max_bytes} bytes, not {len(content)}")
        if len(external_id) > MAX_EXTERNAL_ID:
            raise InvalidArgument(f"external_id: at most {MAX_EXTERNAL_ID} characters")
        if len(title) > MAX_TITLE:
            raise InvalidArgument(f"title: at most {MAX_TITLE} characters")
        if len(key) > _MAX_KEY or "\x00" in key:
            raise InvalidArgument(f"Idempotency-Key: at most {_MAX_KEY} characters")
        known = media_type(kind)
        found = await asyncio.to_thread(extract, known, content)
        digest = hashlib.sha256(json.dumps([external_id, title, known]).encode() + content).digest()
        return Upload(
            external_id=line(external_id, MAX_EXTERNAL_ID) or found.external_id,
            title=line(title, MAX_TITLE) or found.title or line(external_id, MAX_TITLE) or "Untitled",
            media_type=known,
            text=found.text,
            content=content,
            request_hash=digest,
            idempotency_key=key,
        )

    async def _store(
        self, connection: Any, who: TenantContext, upload: Upload, totals: Totals, limits: Mapping[str, Any]
    ) -> Document:
        old = await repository.by_external_id(connection, upload.external_id) if upload.external_id else None
        _check_quota(upload, old, totals, limits)
        document_id = old.id if old else uuid.uuid4()
        await faults.point("knowledge.upload.before")
        await self._objects.put(who, document_id, old.revision + 1 if old else 1, upload.content)
        await faults.point("knowledge.upload.effect")
        if old:
            document = await repository.replace(connection, old.id, upload)
        else:
            document = await repository.insert(connection, who, document_id, upload)
        await outbox.publish(
            connection,
            who,
            DocumentUploaded(
                document_id=document.id,
                revision=document.revision,
                title=document.title,
                media_type=document.media_type,
            ),
            aggregate_id=str(document.id),
            aggregate_type="document",
        )
        return document


def _check_quota(upload: Upload, old: Document | None, totals: Totals, limits: Mapping[str, Any]) -> None:
    documents, storage = limits.get("documents"), limits.get("storage_bytes")
    if documents is not None and old is None and totals.documents + 1 > int(documents):
        raise QuotaExceeded(f"the plan allows {documents} documents: delete some, or ask for a larger plan")
    size = totals.size_bytes + len(upload.content) - (old.size_bytes if old else 0)
    if storage is not None and size > int(storage):
        raise QuotaExceeded(f"the plan allows {storage} bytes of documents; with this one it would be {size}")
