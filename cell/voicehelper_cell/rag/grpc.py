"""gRPC surface of rag."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from voicehelper_core.gen.rag.v1 import rag_pb2_grpc

from voicehelper_cell.rag.service import RagService


class RagServicer(rag_pb2_grpc.RagServiceServicer):
    """Delegates to the service."""

    def __init__(self, service: RagService) -> None:
        self._service = service

    async def Answer(self, request: Any, _: Any) -> AsyncIterator[Any]:
        """Answer a question."""
        async for chunk in self._service.answer(request):
            yield chunk
