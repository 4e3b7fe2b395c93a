"""``/api/v1/knowledge``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2

from voicehelper_cell.web import uploads
from voicehelper_cell.web.caller import USER, Calls, Key, metadata
from voicehelper_cell.web.shapes import plain

router = APIRouter(prefix="/api/v1/knowledge", tags=["knowledge"], dependencies=[USER])
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str, Query(max_length=500)]
_SECONDS = 30
_UPLOAD_SECONDS = 60
_HIT = ("document_id", "external_id", "title", "text", "score", "chunk_id", "start", "end")


class Search(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(max_length=2000)
    top_k: int = Field(default=10, ge=1, le=100)
    mode: str = Field(default="hybrid", max_length=20)


@router.post("/documents", status_code=202, openapi_extra=uploads.OPENAPI)
async def upload(calls: Calls, request: Request, key: Key = "") -> dict[str, Any]:
    """Add a document, or replace the one with the same ``external_id``; indexing follows."""
    given = await uploads.read(request, request.app.state.settings.max_upload_bytes)
    message = knowledge_pb2.UploadDocumentRequest(
        external_id=given.external_id,
        title=given.title,
        media_type=given.media_type,
        content=given.content,
        idempotency_key=key,
    )
    return plain(await calls.knowledge.UploadDocument(message, metadata=metadata(), timeout=_UPLOAD_SECONDS))


@router.get("/documents")
async def listing(
    calls: Calls,
    limit: Limit = 20,
    cursor: Cursor = "",
    external_id: Annotated[str, Query(max_length=500)] = "",
) -> dict[str, Any]:
    """Documents, newest first."""
    request = knowledge_pb2.ListDocumentsRequest(limit=limit, cursor=cursor, external_id=external_id)
    return plain(await calls.knowledge.ListDocuments(request, metadata=metadata(), timeout=_SECONDS))


@router.get("/documents/{document_id}")
async def get(calls: Calls, document_id: str) -> dict[str, Any]:
    """One document, with how far its indexing is."""
    request = knowledge_pb2.GetDocumentRequest(id=document_id)
    return plain(await calls.knowledge.GetDocument(request, metadata=metadata(), timeout=_SECONDS))


@router.get("/documents/{document_id}/content")
async def content(calls: Calls, document_id: str) -> dict[str, Any]:
    """The extracted text, which citations count code points of."""
    request = knowledge_pb2.GetDocumentRequest(id=document_id)
    return plain(await calls.knowledge.GetContent(request, metadata=metadata(), timeout=_SECONDS))


@router.delete("/documents/{document_id}", status_code=204)
async def delete(calls: Calls, document_id: str) -> Response:
    """Remove a document; from then on no search finds it."""
    request = knowledge_pb2.GetDocumentRequest(id=document_id)
    await calls.knowledge.DeleteDocument(request, metadata=metadata(), timeout=_SECONDS)
    return Response(status_code=204)


@router.post("/search")
async def search(calls: Calls, body: Search) -> dict[str, Any]:
    """The best passages."""
    request = retrieval_pb2.RetrieveRequest(query=body.query, top_k=body.top_k, mode=body.mode)
    found = plain(await calls.knowledge.Search(request, metadata=metadata(), timeout=_SECONDS))
    return {"hits": [{name: hit[name] for name in _HIT} for hit in found["hits"]]}
