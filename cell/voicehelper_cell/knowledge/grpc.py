"""gRPC surface of knowledge."""

from __future__ import annotations

from typing import Any

from voicehelper_core import context as contexts
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2, knowledge_pb2_grpc
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from voicehelper_core.grpc_service import outgoing_metadata

from voicehelper_cell.knowledge.models import Document
from voicehelper_cell.knowledge.service import KnowledgeService

_SEARCH_SECONDS = 10.0


class KnowledgeServicer(knowledge_pb2_grpc.KnowledgeServiceServicer):
    """Documents of the caller's tenant; searching is retrieval's."""

    def __init__(self, service: KnowledgeService, channel: Any) -> None:
        self._service = service
        self._retrieval = retrieval_pb2_grpc.RetrievalServiceStub(channel)

    async def UploadDocument(
        self, request: knowledge_pb2.UploadDocumentRequest, context: Any
    ) -> knowledge_pb2.Document:
        """Store or replace."""
        answer = await self._service.upload(
            contexts.current(),
            request.content,
            kind=request.media_type,
            title=request.title,
            external_id=request.external_id,
            idempotency_key=request.idempotency_key,
            encode=lambda document: message(document).SerializeToString(),
        )
        return knowledge_pb2.Document.FromString(answer)

    async def GetDocument(self, request: knowledge_pb2.GetDocumentRequest, context: Any) -> knowledge_pb2.Document:
        """One document."""
        return message(await self._service.get(contexts.current(), request.id))

    async def ListDocuments(
        self, request: knowledge_pb2.ListDocumentsRequest, context: Any
    ) -> knowledge_pb2.ListDocumentsResponse:
        """A page, newest first."""
        found, following = await self._service.list(
            contexts.current(), limit=request.limit, cursor=request.cursor, external_id=request.external_id
        )
        return knowledge_pb2.ListDocumentsResponse(items=map(message, found), next_cursor=following)

    async def GetContent(
        self, request: knowledge_pb2.GetDocumentRequest, context: Any
    ) -> knowledge_pb2.DocumentContent:
        """The text that citations count code points of."""
        title, text = await self._service.content(contexts.current(), request.id)
        return knowledge_pb2.DocumentContent(document_id=request.id, title=title, text=text)

    async def DeleteDocument(
        self, request: knowledge_pb2.GetDocumentRequest, context: Any
    ) -> knowledge_pb2.DeleteDocumentResponse:
        """Remove a document."""
        await self._service.delete(contexts.current(), request.id)
        return knowledge_pb2.DeleteDocumentResponse()

    async def Search(self, request: retrieval_pb2.RetrieveRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        """Ask retrieval."""
        answer: retrieval_pb2.RetrieveResponse = await self._retrieval.Retrieve(
            request, timeout=_SEARCH_SECONDS, metadata=outgoing_metadata("knowledge")
        )
        return answer


def message(document: Document) -> knowledge_pb2.Document:
    """A document as protobuf."""
    return knowledge_pb2.Document(
        id=str(document.id),
        external_id=document.external_id,
        title=document.title,
        media_type=document.media_type,
        status=document.status,
        error=document.error,
        chunk_count=document.chunk_count,
        size_bytes=document.size_bytes,
        created_at=document.created_at.isoformat(),
        updated_at=document.updated_at.isoformat(),
    )
