"""gRPC for clients of an expanded cell: calls of the public services are handed on, with the caller's token.

The router knows one address for a cell's gRPC, and services open their ports to services only. So the BFF takes these
calls, as it takes HTTP: it verifies and admits the token, and calls as ``web``. Messages are not parsed on the way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from voicehelper_core.call_graph import PUBLIC
from voicehelper_core.gen.conversation.v1 import conversation_pb2
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2

from voicehelper_cell.web.caller import metadata

_FILES = (conversation_pb2.DESCRIPTOR, knowledge_pb2.DESCRIPTOR)


class PublicProxy(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    """Handlers for every method of the public services, over ``channel``."""

    def __init__(self, channel: Any) -> None:
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}
        for service in (one for file in _FILES for one in file.services_by_name.values() if one.full_name in PUBLIC):
            for method in service.methods:
                if method.client_streaming:
                    raise NotImplementedError(f"{method.full_name}: no public method takes a stream yet")
                path = f"/{service.full_name}/{method.name}"
                make = _streaming if method.server_streaming else _single
                self._handlers[path] = make(channel, path)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of a path; None for one that is not public."""
        return self._handlers.get(handler_call_details.method)


def _single(channel: Any, path: str) -> grpc.RpcMethodHandler:
    target = channel.unary_unary(path)

    async def handle(request: bytes, call: Any) -> Any:
        return await target(request, metadata=metadata(), timeout=call.time_remaining())

    return grpc.unary_unary_rpc_method_handler(handle)


def _streaming(channel: Any, path: str) -> grpc.RpcMethodHandler:
    target = channel.unary_stream(path)

    async def handle(request: bytes, call: Any) -> AsyncIterator[Any]:
        answer = target(request, metadata=metadata(), timeout=call.time_remaining())
        try:
            async for message in answer:
                yield message
        finally:
            answer.cancel()

    return grpc.unary_stream_rpc_method_handler(handle)
