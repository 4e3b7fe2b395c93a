"""gRPC surface of the orchestrator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from voicehelper_core.gen.ai.v1 import orchestrator_pb2_grpc

from voicehelper_cell.orchestrator.service import OrchestratorService


class OrchestratorServicer(orchestrator_pb2_grpc.OrchestratorServicer):
    """Delegates to the service."""

    def __init__(self, service: OrchestratorService) -> None:
        self._service = service

    async def Execute(self, request: Any, _: Any) -> AsyncIterator[Any]:
        """Answer a message."""
        async for chunk in self._service.execute(request):
            yield chunk
