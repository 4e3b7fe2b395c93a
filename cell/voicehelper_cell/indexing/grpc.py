"""gRPC surface of indexing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voicehelper_core import context as contexts
from voicehelper_core.gen.indexing.v1 import indexing_pb2, indexing_pb2_grpc

from voicehelper_cell.indexing.events import DocumentEvents, Tenants, always, background
from voicehelper_cell.indexing.queue import IndexingQueue
from voicehelper_cell.indexing.repair import Repair
from voicehelper_cell.indexing.service import IndexingService


class IndexingServicer(indexing_pb2_grpc.IndexingServiceServicer):
    """Indexes a document of the caller's tenant at once."""

    def __init__(
        self, service: IndexingService, *, queue: IndexingQueue, repair: Repair, events: DocumentEvents
    ) -> None:
        self.service, self.queue, self.repair, self.events = service, queue, repair, events

    async def background(self, tenants: Tenants, leads: Callable[[], bool] = always) -> None:
        """Index what is queued and look for what was missed, until cancelled."""
        await background(self.queue, self.repair, tenants, leads)

    async def IndexDocument(
        self, request: indexing_pb2.IndexDocumentRequest, context: Any
    ) -> indexing_pb2.IndexDocumentResponse:
        """Index and count."""
        count = await self.service.index_now(contexts.current(), request.document_id, request.revision)
        return indexing_pb2.IndexDocumentResponse(chunk_count=count, vector_count=count)
