"""Calls to the inference process, and the form in which vectors are kept."""

from __future__ import annotations

import array
import sys
from collections.abc import Sequence
from operator import mul
from typing import Any

import grpc
from voicehelper_core import trace
from voicehelper_core.errors import AppError, Unavailable, from_grpc
from voicehelper_core.gen.inference.v1 import inference_pb2

BATCH = 64
"""Texts in one call: enough for full batches, little enough to answer within seconds."""


async def embed(stub: Any, texts: Sequence[str], *, caller: str, timeout: float) -> list[array.array[float]]:
    """Vectors of the texts. The caller's token is not sent: inference has no tenants."""
    result: list[array.array[float]] = []
    metadata = (("traceparent", trace.inject()), ("x-caller", caller))
    for first in range(0, len(texts), BATCH):
        request = inference_pb2.EmbedRequest(texts=texts[first : first + BATCH])
        try:
            answer = await stub.Embed(request, timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            known = from_grpc(error)
            if isinstance(known, Unavailable):
                raise Unavailable("the embedding model is not available: try again in a moment") from None
            raise known from None
        size = 4 * answer.dimension
        if size == 0 or len(answer.vectors) != size * len(request.texts):
            raise AppError("inference answered with another number of vectors")
        result += [unpack(answer.vectors[at : at + size]) for at in range(0, len(answer.vectors), size)]
    return result


def pack(vector: Sequence[float]) -> bytes:
    """Little-endian float32."""
    values = array.array("f", vector)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def unpack(data: bytes) -> array.array[float]:
    """The vector of ``pack``."""
    values = array.array("f")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def similarity(first: Sequence[float], second: Sequence[float]) -> float:
    """Inner product."""
    return float(sum(map(mul, first, second)))
