"""The side of the client: what a stub's method returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable
from functools import partial
from typing import Any

import grpc
import grpc.aio

from voicehelper_core.rpc.exchange import Exchange
from voicehelper_core.rpc.servicer import parse, serialize


class LocalCall:
    """A call of any kind. It is cancelled when its user is cancelled while waiting, or drops it unfinished."""

    def __init__(self, exchange: Exchange, parser: Callable[[bytes], Any] | None) -> None:
        self._exchange, self._parser = exchange, parser

    def __del__(self) -> None:
        exchange = self._exchange
        if not exchange.done() and not exchange.loop.is_closed():
            exchange.loop.call_soon_threadsafe(exchange.cancel, "Cancelled upon garbage collection!")

    def cancelled(self) -> bool:
        return self._exchange.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._exchange.done()

    def time_remaining(self) -> float | None:
        return self._exchange.time_remaining()

    def cancel(self) -> bool:
        return self._exchange.cancel()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        bound = partial(callback, self)
        if self._exchange.done():
            self._exchange.loop.call_soon(bound)
        else:
            self._exchange.callbacks.append(bound)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata.from_tuple(await asyncio.shield(self._exchange.initial_metadata))

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        await self._ended()
        return grpc.aio.Metadata.from_tuple(self._exchange.trailing_metadata)

    async def code(self) -> grpc.StatusCode:
        await self._ended()
        return self._exchange.code

    async def details(self) -> str:
        await self._ended()
        return self._exchange.details

    async def debug_error_string(self) -> str:
        await self._ended()
        return self._exchange.details

    async def wait_for_connection(self) -> None:
        """There is nothing to connect."""

    async def _ended(self) -> None:
        await asyncio.shield(self._exchange.finished)

    async def _next(self) -> Any:
        """The next response or EOF; raises what the status says after the last one."""
        try:
            raw = await self._exchange.responses.get()
            if raw is None:
                await self._ended()
        except asyncio.CancelledError:
            self._exchange.cancel()
            raise
        if raw is not None:
            return parse(raw, self._parser)
        if self._exchange.cancelled_locally:
            raise asyncio.CancelledError
        if self._exchange.code is not grpc.StatusCode.OK:
            raise self._exchange.error()
        return grpc.aio.EOF


class RequestStream:
    """Mixed into calls with a stream of requests: from an iterator, or written one by one."""

    _exchange: Exchange

    def send(self, iterator: Any, serializer: Callable[[Any], bytes] | None) -> None:
        """Begin to send what ``iterator`` gives; None leaves it to ``write``."""
        self._serializer = serializer
        self._half_closed = False
        if iterator is not None:
            task = self._exchange.loop.create_task(_send_all(self._exchange, iterator, serializer))
            self._exchange.callbacks.append(lambda: (task.cancel(), None)[1])

    async def write(self, request: Any) -> None:
        if self._exchange.done() or self._half_closed:
            raise asyncio.InvalidStateError("RPC already finished or half closed.")
        try:
            await self._exchange.requests.put(serialize(request, self._serializer))
        except asyncio.CancelledError:
            self._exchange.cancel()
            raise

    async def done_writing(self) -> None:
        self._half_closed = True
        self._exchange.requests.close()


class UnaryResponse(LocalCall):
    """Awaited for its one response."""

    _response: Any = None

    def __await__(self) -> Generator[Any, None, Any]:
        return self._one().__await__()

    async def _one(self) -> Any:
        if self._response is None:
            response = await self._next()
            try:
                await self._ended()
            except asyncio.CancelledError:
                self._exchange.cancel()
                raise
            if self._exchange.code is not grpc.StatusCode.OK:
                raise self._exchange.error()
            self._response = response
        return self._response


class StreamResponse(LocalCall):
    """Iterated, or read one by one."""

    async def read(self) -> Any:
        return await self._next()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._all()

    async def _all(self) -> AsyncIterator[Any]:
        while (response := await self._next()) is not grpc.aio.EOF:
            yield response


class UnaryUnaryCall(UnaryResponse, grpc.aio.UnaryUnaryCall):  # type: ignore[misc, unused-ignore]
    """One request, one response."""


class UnaryStreamCall(StreamResponse, grpc.aio.UnaryStreamCall):  # type: ignore[misc, unused-ignore]
    """One request, a stream of responses."""


class StreamUnaryCall(UnaryResponse, RequestStream, grpc.aio.StreamUnaryCall):  # type: ignore[misc, unused-ignore]
    """A stream of requests, one response."""


class StreamStreamCall(StreamResponse, RequestStream, grpc.aio.StreamStreamCall):  # type: ignore[misc, unused-ignore]
    """A stream each way."""


async def _send_all(
    exchange: Exchange,
    requests: AsyncIterable[Any] | Iterable[Any],
    serializer: Callable[[Any], bytes] | None,
) -> None:
    try:
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                await exchange.requests.put(serialize(request, serializer))
        else:
            for request in requests:
                await exchange.requests.put(serialize(request, serializer))
        exchange.requests.close()
    except Exception:  # as on the wire: a client whose requests fail has given up
        exchange.cancel()
