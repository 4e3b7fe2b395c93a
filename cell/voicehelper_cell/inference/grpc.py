"""gRPC surface of inference."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Histogram
from voicehelper_core.errors import InvalidArgument
from voicehelper_core.gen.inference.v1 import inference_pb2, inference_pb2_grpc

from voicehelper_cell.inference.batching import Batcher
from voicehelper_cell.inference.export import DIMENSION, MODEL

MAX_TEXTS = 256
MAX_CHARACTERS = 65536
"""Of one text. More than that is never read: 256 tokens are."""

TEXTS = Counter("inference_texts", "Texts embedded")
SECONDS = Histogram(
    "inference_request_duration_seconds",
    "Duration of an Embed call",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """Embeds texts."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def Embed(self, request: inference_pb2.EmbedRequest, context: Any) -> inference_pb2.EmbedResponse:
        """Vectors of the texts, in order."""
        texts = list(request.texts)
        if not texts:
            raise InvalidArgument("texts: send at least one")
        if len(texts) > MAX_TEXTS:
            raise InvalidArgument(f"texts: at most {MAX_TEXTS} in one call, not {len(texts)}")
        for number, text in enumerate(texts):
            if len(text) > MAX_CHARACTERS:
                raise InvalidArgument(f"texts[{number}]: at most {MAX_CHARACTERS} characters")
        with SECONDS.time():
            vectors = await self._batcher.embed(texts, interactive=_caller(context) != "indexing")
        TEXTS.inc(len(texts))
        return inference_pb2.EmbedResponse(
            dimension=DIMENSION, vectors=vectors.astype("<f4", copy=False).tobytes(), model=MODEL
        )


def _caller(context: Any) -> str:
    """Which service asks; somebody waits for the answer unless it is indexing."""
    metadata = dict(context.invocation_metadata() or ()) if context is not None else {}
    return str(metadata.get("x-caller", ""))
