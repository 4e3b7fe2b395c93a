"""Makes documents searchable. Driven by ``document.uploaded``; called by knowledge.

``chunking`` cuts, ``service`` embeds and writes, ``queue`` gathers batches, ``repair`` finds what was missed,
``events`` is what runs by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.indexing.grpc import IndexingServicer


def build(settings: Any, database: Any, vectors: Any, inference: Any, *, alone: bool = True) -> IndexingServicer:
    """The service behind its gRPC surface; ``events`` and ``background`` of it have to be run."""
    from voicehelper_cell.indexing.events import DocumentEvents
    from voicehelper_cell.indexing.grpc import IndexingServicer
    from voicehelper_cell.indexing.queue import IndexingQueue
    from voicehelper_cell.indexing.repair import Repair
    from voicehelper_cell.indexing.service import IndexingService
    from voicehelper_cell.knowledge.objects import Objects

    service = IndexingService(database, vectors, inference, alone=alone)
    queue, objects = IndexingQueue(service), Objects.of(settings)
    return IndexingServicer(
        service,
        queue=queue,
        repair=Repair(database, vectors, service, queue, objects),
        events=DocumentEvents(queue, vectors, objects),
    )
