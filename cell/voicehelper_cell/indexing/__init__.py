"""Makes documents searchable. Driven by ``document.uploaded``; called by knowledge.

``chunking`` cuts, ``service`` embeds and writes, ``queue`` gathers batches, ``repair`` finds what was missed,
``events`` is what the consumer calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.indexing.grpc import IndexingServicer


def build(_settings: Any, database: Any, vectors: Any, inference: Any) -> IndexingServicer:
    """The service behind its gRPC surface."""
    from voicehelper_cell.indexing.grpc import IndexingServicer
    from voicehelper_cell.indexing.service import IndexingService

    return IndexingServicer(IndexingService(database, vectors, inference))
