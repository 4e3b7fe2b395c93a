"""``LocalChannel``: takes servicers as a server does, and is given to stubs as a channel is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import grpc
import grpc.aio

from voicehelper_core.rpc.call import StreamStreamCall, StreamUnaryCall, UnaryStreamCall, UnaryUnaryCall
from voicehelper_core.rpc.exchange import Exchange
from voicehelper_core.rpc.servicer import handle, serialize

_METADATA_KEY = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


class _Details(NamedTuple):
    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...]


class LocalChannel(grpc.aio.Channel):  # type: ignore[misc, unused-ignore]
    """Direct calls to servicers of this process.

    ``interceptors`` are server interceptors: they run as in ``grpc.aio.server(interceptors=...)``, the first one
    outermost. Register servicers with the generated functions: ``add_XServicer_to_server(servicer, channel)``, or
    ``channel.add(add_XServicer_to_server, servicer)``.
    """

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()) -> None:
        self._interceptors = tuple(interceptors)
        self._registered: dict[str, grpc.RpcMethodHandler] = {}
        self._generic: list[grpc.GenericRpcHandler] = []
        self._active: set[Exchange] = set()
        self._closing = asyncio.Event()

    # What a server offers.

    def add(self, register: Callable[[Any, Any], None], servicer: Any) -> Self:
        """Register a servicer with its generated function."""
        register(servicer, self)
        return self

    def intercept(self, interceptor: grpc.aio.ServerInterceptor) -> Self:
        """Add a server interceptor, inside of those that there are."""
        self._interceptors = (*self._interceptors, interceptor)
        return self

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Called by generated code."""
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: dict[str, grpc.RpcMethodHandler]
    ) -> None:
        """Called by generated code."""
        self._registered.update({f"/{service_name}/{name}": item for name, item in method_handlers.items()})

    async def _find(self, exchange: Exchange) -> grpc.RpcMethodHandler | None:
        return await self._intercept(self._interceptors, _Details(exchange.method, exchange.metadata))

    async def _intercept(self, interceptors: tuple[Any, ...], details: Any) -> grpc.RpcMethodHandler | None:
        if interceptors:
            first, *rest = interceptors
            return await first.intercept_service(partial(self._intercept, tuple(rest)), details)
        if details.method in self._registered:
            return self._registered[details.method]
        for generic in self._generic:
            if (handler := generic.service(details)) is not None:
                return handler
        return None

    # What a channel offers.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Take no new calls; cancel the running ones after ``grace`` seconds."""
        self._closing.set()
        if grace and self._active:
            await asyncio.wait([exchange.finished for exchange in self._active], timeout=grace)
        for exchange in list(self._active):
            exchange.cancel("Channel closed!")

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        closed = self._closing.is_set()
        return grpc.ChannelConnectivity.SHUTDOWN if closed else grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        if self.get_state() is last_observed_state:
            await self._closing.wait()

    async def channel_ready(self) -> None:
        """At once."""

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> OneRequest:
        return OneRequest(self, UnaryUnaryCall, method, request_serializer, response_deserializer)

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> OneRequest:
        return OneRequest(self, UnaryStreamCall, method, request_serializer, response_deserializer)

    def stream_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> ManyRequests:
        return ManyRequests(self, StreamUnaryCall, method, request_serializer, response_deserializer)

    def stream_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> ManyRequests:
        return ManyRequests(self, StreamStreamCall, method, request_serializer, response_deserializer)

    def open(self, method: str, metadata: Any, timeout: float | None) -> Exchange:
        """Begin a call. Raises UsageError once the channel is closed."""
        if self._closing.is_set():
            raise grpc.aio.UsageError("Channel is closed.")
        exchange = Exchange(method, _checked(metadata), timeout)
        self._active.add(exchange)
        exchange.callbacks.append(partial(self._active.discard, exchange))
        exchange.start(partial(handle, find=self._find))
        return exchange


@dataclass(frozen=True, slots=True)
class _MultiCallable:
    channel: LocalChannel
    kind: Any
    method: str
    serializer: Callable[[Any], bytes] | None
    parser: Callable[[bytes], Any] | None


class OneRequest(_MultiCallable):
    """A stub's method that takes one request. Credentials and the like have no meaning here and are ignored."""

    def __call__(self, request: Any, *, timeout: float | None = None, metadata: Any = None, **_: Any) -> Any:
        raw = serialize(request, self.serializer)
        exchange = self.channel.open(self.method, metadata, timeout)
        exchange.requests.put_now(raw)
        exchange.requests.close()
        return self.kind(exchange, self.parser)


class ManyRequests(_MultiCallable):
    """A stub's method that takes a stream of requests."""

    def __call__(
        self, request_iterator: Any = None, timeout: float | None = None, metadata: Any = None, **_: Any
    ) -> Any:
        call = self.kind(self.channel.open(self.method, metadata, timeout), self.parser)
        call.send(request_iterator, self.serializer)
        return call


def _checked(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """The metadata as the server sees it. Raises ValueError for what the wire would not carry."""
    items = tuple((str(key), value) for key, value in metadata or ())
    for key, value in items:
        if not key or not set(key) <= _METADATA_KEY:
            raise ValueError(f"metadata was invalid: the key {key!r} has to be lower-case ASCII")
        if not key.endswith("-bin") and not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise ValueError(f"metadata was invalid: the value of {key!r} has to be printable ASCII")
    return items
