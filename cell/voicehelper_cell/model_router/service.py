"""Which model answers a tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from voicehelper_core import context
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.gen.model.v1 import model_pb2, model_pb2_grpc
from voicehelper_core.grpc_service import outgoing_metadata
from voicehelper_core.metrics import LLM_COST

from voicehelper_cell.model_adapter.extractive import MODEL as BUILT_IN

ANY = "*"


class ModelRouterService:
    """Asks the adapter for the wanted model, or for the first of the cell's models that the plan allows."""

    def __init__(
        self, channel: Any, limits: Callable[[TenantContext], Awaitable[Mapping[str, Any]]], *, default: str
    ) -> None:
        self._adapter = model_pb2_grpc.ModelAdapterStub(channel)
        self._limits, self._default = limits, default

    async def generate(self, request: Any) -> AsyncIterator[Any]:
        """Chunks of the model's answer, usage last. Raises PermissionDenied for a model outside of the plan."""
        model = await self._choose(request.model)
        asked = model_pb2.GenerateRequest()
        asked.CopyFrom(request)
        asked.model = model
        call = self._adapter.Generate(asked, metadata=outgoing_metadata("model_router"))
        try:
            async for chunk in call:
                if chunk.WhichOneof("part") == "usage":
                    LLM_COST.labels(chunk.usage.model, chunk.usage.provider).inc(chunk.usage.cost_usd)
                yield chunk
        finally:
            call.cancel()

    async def _choose(self, wanted: str) -> str:
        allowed = (await self._limits(context.current())).get("allowed_models") or [BUILT_IN]
        candidates = [wanted] if wanted else [model for model in (self._default, BUILT_IN) if model]
        for model in candidates:
            if ANY in allowed or model in allowed:
                return model
        raise PermissionDenied(f"the plan allows the models {', '.join(allowed)}, not {' or '.join(candidates)}")
