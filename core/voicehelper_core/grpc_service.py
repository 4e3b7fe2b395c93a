"""What every gRPC server and client of ours does: identity of the call, error codes, trace context."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio

from voicehelper_core import context, errors, metrics, trace
from voicehelper_core.auth import Claims, TokenVerifier, bearer
from voicehelper_core.context import TenantContext
from voicehelper_core.grpc_caller import Identify, stated
from voicehelper_core.grpc_health import is_health
from voicehelper_core.log import get_logger

log = get_logger(__name__)

token_of_call: ContextVar[str | None] = ContextVar("token_of_call", default=None)
"""The caller's token, passed along unchanged so that the next service verifies it again."""

OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 2**20),  # an upload and its text; grpc's own limit is 4 MiB
    ("grpc.max_send_message_length", 64 * 2**20),
    ("grpc.enable_http_proxy", 0),  # our calls stay on the machine or in the cluster, whatever the environment says
)
"""For every ``grpc.aio.server`` and channel."""

Admit = Callable[[Claims], TenantContext | Awaitable[TenantContext]]
"""Claims to context; raises PermissionDenied for a tenant that is not placed here."""


def channel(address: str) -> grpc.aio.Channel:
    """A channel to another process (``host:port``)."""
    return grpc.aio.insecure_channel(address, options=OPTIONS)


def outgoing_metadata(caller: str) -> tuple[tuple[str, str], ...]:
    """Metadata for a call to another service: token, trace, request id and who calls."""
    who, token = context.current_or_none(), token_of_call.get()
    metadata = [("traceparent", trace.inject()), ("x-caller", caller)]
    if token:
        metadata.append(("authorization", f"Bearer {token}"))
    if who:
        metadata.append(("x-request-id", "".join(char for char in who.request_id if "!" <= char <= "~")))
    return tuple(metadata)


_MAX_DETAIL = 800  # characters: a status travels in a header of 8 kB, and some take nine bytes there


async def _abort(call: Any, error: BaseException) -> None:
    """End the call with the code of ``error``; contents of unexpected errors stay in the log."""
    if known := errors.expected(error):
        await call.abort(known.grpc_code, known.detail[:_MAX_DETAIL], errors.OURS)
    if isinstance(error, NotImplementedError):
        await call.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
    log.error("unexpected error", error_type=type(error).__name__, exc_info=error)
    await call.abort(grpc.StatusCode.INTERNAL, "something went wrong on our side")


class _Wrapping(grpc.aio.ServerInterceptor):
    """Runs every handler inside what ``enter`` sets up, and maps its errors."""

    async def enter(self, stack: ExitStack, metadata: dict[str, str], method: str, call: Any) -> None:
        """Set up what the handler runs in; may raise AppError."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        handler = await continuation(handler_call_details)
        if handler is None or is_health(handler_call_details.method):
            return handler
        metadata = {
            str(k): (v.decode("latin-1") if isinstance(v, bytes) else str(v))
            for k, v in (handler_call_details.invocation_metadata or ())
        }
        method = str(handler_call_details.method)
        metrics.GRPC_REQUESTS.labels(*method.removeprefix("/").split("/", 1)).inc()

        async def unary(request: Any, call: Any) -> Any:
            with ExitStack() as stack:
                try:
                    await self.enter(stack, metadata, method, call)
                    return await inner(request, call)
                except grpc.aio.AbortError:
                    raise
                except Exception as error:
                    await _abort(call, error)
            return None

        # A coroutine that writes, not a generator: grpc.aio leaves a cancelled generator to the garbage collector,
        # which ends it in another task, without the tenant's context. Here it ends where it ran.
        async def stream(request: Any, call: Any) -> None:
            with ExitStack() as stack:
                try:
                    await self.enter(stack, metadata, method, call)
                    if not inspect.isasyncgenfunction(inner):
                        await inner(request, call)
                        return
                    async with aclosing(inner(request, call)) as items:
                        async for item in items:
                            await call.write(item)
                except grpc.aio.AbortError:
                    raise
                except Exception as error:
                    await _abort(call, error)

        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.response_streaming:
            inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return make(stream, **codec)
        inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
        make = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        return make(unary, **codec)


class ErrorInterceptor(_Wrapping):
    """Error codes and trace context, for services without a tenant (inference, identity)."""

    async def enter(self, stack: ExitStack, metadata: dict[str, str], method: str, call: Any) -> None:
        stack.enter_context(trace.use(trace.child_of(metadata.get("traceparent"))))


class ContextInterceptor(_Wrapping):
    """Verifies the caller and the token and runs the handler inside the tenant's context.

    ``callers`` maps a service's full name to who may call it: deny by default. ``identify`` says who calls. Health
    checks need neither: they say nothing of a tenant.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        admit: Admit,
        callers: dict[str, frozenset[str]] | None = None,
        *,
        identify: Identify = stated,
    ) -> None:
        self._verifier, self._admit, self._callers, self._identify = verifier, admit, callers, identify

    async def enter(self, stack: ExitStack, metadata: dict[str, str], method: str, call: Any) -> None:
        stack.enter_context(trace.use(trace.child_of(metadata.get("traceparent"))))
        if self._callers is not None:
            service, caller = method.split("/")[1], self._identify(metadata, call)
            if caller not in self._callers.get(service, frozenset()):
                raise errors.PermissionDenied(f"'{caller or 'an unnamed caller'}' may not call {service}")
        token = bearer(metadata.get("authorization"))
        admitted = self._admit(await self._verifier.verify(token))
        who = admitted if isinstance(admitted, TenantContext) else await admitted
        if request_id := metadata.get("x-request-id"):
            who = TenantContext(
                who.tenant_id, who.tenant, who.user_id, who.cell_id, who.roles, who.scopes, request_id[:128]
            )
        stack.enter_context(context.use(who))
        reset = token_of_call.set(token)
        stack.callback(token_of_call.reset, reset)
