"""gRPC surface of the model router."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from voicehelper_core.gen.model.v1 import model_pb2_grpc

from voicehelper_cell.model_router.service import ModelRouterService


class ModelRouterServicer(model_pb2_grpc.ModelRouterServicer):
    """Delegates to the service."""

    def __init__(self, service: ModelRouterService) -> None:
        self._service = service

    async def Generate(self, request: Any, _: Any) -> AsyncIterator[Any]:
        """Generate with the tenant's model."""
        async for chunk in self._service.generate(request):
            yield chunk
