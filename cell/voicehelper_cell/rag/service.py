"""Retrieve, choose, ask, cite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from voicehelper_core.errors import InvalidArgument
from voicehelper_core.gen.conversation.v1 import conversation_pb2
from voicehelper_core.gen.model.v1 import model_pb2_grpc
from voicehelper_core.gen.rag.v1 import rag_pb2
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from voicehelper_core.grpc_service import outgoing_metadata

from voicehelper_cell.rag import prompt

CANDIDATES = 12
_RETRIEVE_SECONDS = 15


class RagService:
    """Answers a question from the documents of the context's tenant."""

    def __init__(self, channel: Any) -> None:
        self._retrieval = retrieval_pb2_grpc.RetrievalServiceStub(channel)
        self._model = model_pb2_grpc.ModelRouterStub(channel)

    async def answer(self, request: Any) -> AsyncIterator[Any]:
        """Deltas and citations as they come, usage last. Raises InvalidArgument, Unavailable."""
        if not request.question.strip():
            raise InvalidArgument("question: it is empty")
        found = await self._retrieval.Retrieve(
            retrieval_pb2.RetrieveRequest(query=request.question[:2000], top_k=CANDIDATES, mode="hybrid"),
            metadata=outgoing_metadata("rag"),
            timeout=_RETRIEVE_SECONDS,
        )
        hits = prompt.fitting(found.hits, request.max_context_tokens or 3000)
        call = self._model.Generate(
            prompt.request(request.question, request.history, hits), metadata=outgoing_metadata("rag")
        )
        try:
            async for chunk in call:
                if mapped := _mapped(chunk, hits):
                    yield mapped
        finally:
            call.cancel()


def _mapped(chunk: Any, hits: Sequence[Any]) -> Any:
    match chunk.WhichOneof("part"):
        case "delta":
            return rag_pb2.AnswerChunk(delta=chunk.delta)
        case "quote":
            citation = _citation(chunk.quote, hits)
            return rag_pb2.AnswerChunk(citation=citation) if citation is not None else None
        case "usage":
            usage = chunk.usage
            return rag_pb2.AnswerChunk(
                usage=rag_pb2.Usage(
                    model=usage.model,
                    prompt_tokens=usage.prompt_tokens,
                    completion_tokens=usage.completion_tokens,
                    cost_usd=usage.cost_usd,
                    answered=usage.answered,
                )
            )
    return None


def _citation(quote: Any, hits: Sequence[Any]) -> Any:
    """Where the quoted span stands in its document; None for a passage that was not given."""
    if not quote.ref.isdigit() or not 1 <= int(quote.ref) <= len(hits):
        return None
    hit = hits[int(quote.ref) - 1]
    start, end = max(0, quote.start), min(len(hit.text), quote.end)
    return conversation_pb2.Citation(
        document_id=hit.document_id,
        title=hit.title,
        start=hit.start + start,
        end=hit.start + end,
        text=hit.text[start:end],
    )
