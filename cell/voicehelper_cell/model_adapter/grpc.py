"""gRPC surface of the models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from voicehelper_core.errors import InvalidArgument
from voicehelper_core.gen.model.v1 import model_pb2_grpc

from voicehelper_cell.model_adapter.extractive import MODEL, LocalExtractive

if TYPE_CHECKING:
    from voicehelper_cell.model_adapter.openai import OpenAICompatible


class ModelAdapterServicer(model_pb2_grpc.ModelAdapterServicer):
    """Hands a request to the model that it names."""

    def __init__(self, built_in: LocalExtractive, provider: OpenAICompatible | None) -> None:
        self._built_in, self.provider = built_in, provider

    async def Generate(self, request: Any, _: Any) -> AsyncIterator[Any]:
        """Chunks of the answer, usage last."""
        if request.model == MODEL:
            async for chunk in self._built_in.generate(request):
                yield chunk
        elif self.provider is not None:
            async for chunk in self.provider.generate(request):
                yield chunk
        else:
            raise InvalidArgument(f"model: '{request.model}' needs VOICEHELPER_MODEL_BASE_URL")
