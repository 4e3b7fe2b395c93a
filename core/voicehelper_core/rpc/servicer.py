"""The side of the handler: its context, and the running of all four kinds of methods."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn

import grpc
import grpc.aio

from voicehelper_core.log import get_logger
from voicehelper_core.rpc.exchange import Exchange

log = get_logger(__name__)


class LocalServicerContext(grpc.aio.ServicerContext):  # type: ignore[misc, unused-ignore]
    """What ``grpc.aio.ServicerContext`` offers a handler."""

    def __init__(self, exchange: Exchange, handler: grpc.RpcMethodHandler) -> None:
        self._exchange, self._handler = exchange, handler
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailing: tuple[Any, ...] = ()

    async def read(self) -> Any:
        """The next request, or ``grpc.aio.EOF``."""
        raw = await self._exchange.requests.get()
        return grpc.aio.EOF if raw is None else parse(raw, self._handler.request_deserializer)

    async def write(self, message: Any) -> None:
        """Send a response."""
        raw = serialize(message, self._handler.response_serializer)
        self.start_responding()
        await self._exchange.responses.put(raw)

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        if self._exchange.initial_metadata.done():
            raise grpc.aio.UsageError("initial metadata was sent already")
        self._exchange.initial_metadata.set_result(tuple(initial_metadata))

    def start_responding(self) -> None:
        """The first response carries the initial metadata, if only empty."""
        if not self._exchange.initial_metadata.done():
            self._exchange.initial_metadata.set_result(())

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        if code is grpc.StatusCode.OK:
            code, details = grpc.StatusCode.UNKNOWN, ""
        self._exchange.finish(code, details, tuple(trailing_metadata) or self._trailing)
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def finish(self) -> None:
        """The handler returned: send the status that it set, OK if none."""
        self._exchange.finish(self._code, self._details, self._trailing)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._trailing

    def invocation_metadata(self) -> Any:
        return self._exchange.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._exchange.code or self._code

    def details(self) -> str:
        return self._exchange.details or self._details

    def set_compression(self, compression: Any) -> None:
        """Nothing to compress."""

    def disable_next_message_compression(self) -> None:
        """Nothing to compress."""

    def peer(self) -> str:
        return "local:"

    def peer_identities(self) -> None:
        return None

    def peer_identity_key(self) -> None:
        return None

    def auth_context(self) -> dict[str, Any]:
        return {}

    def time_remaining(self) -> float | None:
        return self._exchange.time_remaining()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._exchange.callbacks.append(partial(callback, self))

    def cancelled(self) -> bool:
        return self._exchange.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._exchange.done()


def serialize(message: Any, serializer: Callable[[Any], bytes] | None) -> bytes:
    """Bytes of a message; without a serializer it is bytes already."""
    return message if serializer is None else serializer(message)


def parse(raw: bytes, parser: Callable[[bytes], Any] | None) -> Any:
    """The message again, an object of its own."""
    return raw if parser is None else parser(raw)


async def handle(exchange: Exchange, find: Callable[[Exchange], Any]) -> None:
    """Run the handler that ``find`` gives, and end the call whatever happens."""
    context: LocalServicerContext | None = None
    try:
        handler = await find(exchange)
        if handler is None:
            exchange.finish(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
            return
        context = LocalServicerContext(exchange, handler)
        await _run(handler, context)
        context.finish()
    except asyncio.CancelledError:
        exchange.interrupt(grpc.StatusCode.CANCELLED, "the handler was cancelled")
        raise
    except grpc.aio.AbortError:
        pass
    except Exception as error:
        code = context.code() if context else grpc.StatusCode.OK
        code = grpc.StatusCode.UNKNOWN if code is grpc.StatusCode.OK else code
        if exchange.finish(code, f"Unexpected {type(error)}: {error}"):
            log.error("a handler failed", method=exchange.method, error_type=type(error).__name__, exc_info=error)
    finally:
        exchange.finish(grpc.StatusCode.UNKNOWN, "the handler ended without a status")


async def _run(handler: grpc.RpcMethodHandler, context: LocalServicerContext) -> None:
    if handler.request_streaming:
        behaviour = handler.stream_stream if handler.response_streaming else handler.stream_unary
        request: Any = _requests(context)
    else:
        behaviour = handler.unary_stream if handler.response_streaming else handler.unary_unary
        request = await context.read()
        if request is grpc.aio.EOF:  # the client cancelled before it sent anything
            return
    if handler.response_streaming and inspect.isasyncgenfunction(behaviour):
        async with aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                await context.write(response)
    elif handler.response_streaming:
        await behaviour(request, context)
    else:
        response = await behaviour(request, context)
        if context.code() is grpc.StatusCode.OK:
            await context.write(response)


async def _requests(context: LocalServicerContext) -> AsyncIterator[Any]:
    while (request := await context.read()) is not grpc.aio.EOF:
        yield request
