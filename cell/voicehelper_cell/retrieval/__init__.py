"""Finds the passages of a tenant's documents. Called by knowledge, rag and agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.retrieval.grpc import RetrievalServicer


def build(_settings: Any, database: Any, vectors: Any, inference: Any) -> RetrievalServicer:
    """The service behind its gRPC surface."""
    from voicehelper_cell.retrieval.grpc import RetrievalServicer
    from voicehelper_cell.retrieval.service import RetrievalService

    return RetrievalServicer(RetrievalService(database, vectors, inference))
