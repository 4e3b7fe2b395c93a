"""Which engine answers. The mode ``chat`` is rag's; further modes join here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from voicehelper_core.errors import InvalidArgument
from voicehelper_core.gen.rag.v1 import rag_pb2, rag_pb2_grpc
from voicehelper_core.grpc_service import outgoing_metadata

ENGINES = ("chat",)


class OrchestratorService:
    """Hands a message to an engine and its answer back."""

    def __init__(self, channel: Any, *, context_tokens: int) -> None:
        self._rag = rag_pb2_grpc.RagServiceStub(channel)
        self._context_tokens = context_tokens

    async def execute(self, request: Any) -> AsyncIterator[Any]:
        """Chunks of the answer. Raises InvalidArgument for a mode without an engine."""
        if request.mode not in ENGINES:
            raise InvalidArgument(f"mode: one of {', '.join(ENGINES)}")
        question = rag_pb2.AnswerRequest(
            question=request.content, history=request.history, max_context_tokens=self._context_tokens
        )
        call = self._rag.Answer(question, metadata=outgoing_metadata("orchestrator"))
        try:
            async for chunk in call:
                yield chunk
        finally:
            call.cancel()
