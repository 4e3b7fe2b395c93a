"""A tenant's documents: upload, list, text, delete. Called by the BFFs; calls retrieval for searches.

Indexing follows by the event ``document.uploaded``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from voicehelper_core.context import TenantContext

if TYPE_CHECKING:
    from voicehelper_cell.knowledge.grpc import KnowledgeServicer


async def _unlimited(_who: TenantContext) -> Mapping[str, Any]:
    return {}


def build(
    settings: Any,
    database: Any,
    channel: Any,
    limits: Callable[[TenantContext], Awaitable[Mapping[str, Any]]] = _unlimited,
) -> KnowledgeServicer:
    """The service behind its gRPC surface. ``limits`` gives the limits of a tenant's placement."""
    from voicehelper_cell.knowledge.grpc import KnowledgeServicer
    from voicehelper_cell.knowledge.objects import Objects
    from voicehelper_cell.knowledge.service import KnowledgeService

    service = KnowledgeService(
        database,
        Objects.of(settings),
        limits,
        max_bytes=settings.max_upload_bytes,
        idempotency_hours=settings.idempotency_hours,
    )
    return KnowledgeServicer(service, channel)
