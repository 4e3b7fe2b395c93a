"""Answers from a tenant's documents, with citations.

Called by the orchestrator; calls retrieval and the model router.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.rag.grpc import RagServicer


def build(channel: Any) -> RagServicer:
    """The service behind its gRPC surface."""
    from voicehelper_cell.rag.grpc import RagServicer
    from voicehelper_cell.rag.service import RagService

    return RagServicer(RagService(channel))
