"""gRPC surface of retrieval."""

from __future__ import annotations

from typing import Any

from voicehelper_core import context as contexts
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc

from voicehelper_cell.retrieval.models import Query
from voicehelper_cell.retrieval.service import RetrievalService


class RetrievalServicer(retrieval_pb2_grpc.RetrievalServiceServicer):
    """Searches for the caller's tenant."""

    def __init__(self, service: RetrievalService) -> None:
        self._service = service

    async def Retrieve(self, request: retrieval_pb2.RetrieveRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        """The best passages."""
        query = Query.checked(request.query, request.mode, request.top_k)
        hits = await self._service.retrieve(contexts.current(), query)
        return retrieval_pb2.RetrieveResponse(
            hits=[
                retrieval_pb2.Hit(
                    document_id=hit.document_id,
                    external_id=hit.external_id,
                    title=hit.title,
                    text=hit.text,
                    score=hit.score,
                    chunk_id=hit.chunk_id,
                    start=hit.start,
                    end=hit.end,
                    vector_score=hit.vector_score,
                    bm25_score=hit.bm25_score,
                )
                for hit in hits
            ]
        )
