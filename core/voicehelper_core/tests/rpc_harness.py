"""A servicer that does what it is asked for, behind each kind of channel."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from contextvars import ContextVar
from pathlib import Path

import grpc
import grpc.aio
import pytest
from voicehelper_core import context, errors, trace
from voicehelper_core.certificates import renewed
from voicehelper_core.gen.conversation.v1 import conversation_pb2 as pb
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc as api
from voicehelper_core.grpc_service import OPTIONS, channel
from voicehelper_core.rpc import LocalChannel
from voicehelper_core.rpc.remote import SERVER_OPTIONS, RemoteChannel
from voicehelper_core.tls import TlsFiles, server_credentials

KINDS = ("local", "unix", "tcp", "tls")
CELL = "ctest0000001"
CONTRACTS = dict.fromkeys(("conversation.v1.ConversationService", "identity.v1.IdentityService", "raw"), "conversation")
leaking: ContextVar[str] = ContextVar("leaking", default="nothing")


class Conversations(api.ConversationServiceServicer):
    """Handlers that do what the title asks for."""

    def __init__(self):
        self.ended = asyncio.Event()
        self.started = asyncio.Event()
        self.seen = {}

    async def CreateConversation(self, request, call):
        self.seen = dict(tuple(item) for item in call.invocation_metadata())
        match request.title:
            case "abort":
                call.set_trailing_metadata((("left", "behind"),))
                await call.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: ä")
            case "raise":
                raise ValueError("broken")
            case "app error":
                raise errors.QuotaExceeded("too much")
            case "code":
                call.set_code(grpc.StatusCode.DATA_LOSS)
                call.set_details("gone")
                return pb.Conversation()
            case "sleep":
                return await self.sleep()
            case "swallow":
                with contextlib.suppress(grpc.aio.AbortError):
                    await call.abort(grpc.StatusCode.ABORTED, "first")
                return pb.Conversation(id="second")
            case "remaining":
                return pb.Conversation(id=str(call.time_remaining()))
            case "who":
                who, span = context.current_or_none(), trace.current()
                return pb.Conversation(id=who.user_id if who else "", title=span.trace_id, mode=leaking.get())
        await call.send_initial_metadata((("first", "1"),))
        call.set_trailing_metadata((("last", "2"), ("raw-bin", b"\x00\xff")))
        leaking.set("from the handler")
        answer = pb.Conversation(title=request.title, mode=leaking.get())
        request.title = "changed"
        return answer

    async def sleep(self):
        self.started.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.ended.set()

    async def SendMessage(self, request, call):
        try:
            for number in range(1, 1 + int(request.idempotency_key or 3)):
                yield pb.MessageEvent(id=number, delta=request.content)
                self.started.set()
            if request.content == "abort":
                await call.abort(grpc.StatusCode.NOT_FOUND, "no more")
            if request.content == "raise":
                raise ValueError("broken")
            if request.content == "sleep":
                await self.sleep()
        finally:
            self.who_at_the_end = context.current_or_none()
            self.ended.set()

    async def FollowMessage(self, request, call):
        """In the other style: a coroutine that writes."""
        await call.write(pb.MessageEvent(id=1))
        await call.write(pb.MessageEvent(id=2))


class Raw(grpc.GenericRpcHandler):
    """Streams of requests, which none of the products' services has, over plain bytes."""

    def service(self, details):
        return {
            "/raw/Join": grpc.stream_unary_rpc_method_handler(self.join),
            "/raw/Echo": grpc.stream_stream_rpc_method_handler(self.echo),
        }.get(details.method)

    async def join(self, requests, call):
        return b"".join([item async for item in requests])

    async def echo(self, requests, call):
        async for item in requests:
            yield item.upper()


@contextlib.asynccontextmanager
async def opened(kind, *servicers, interceptors=()):
    """A channel to the servicers, of a kind."""
    if kind == "local":
        async with LocalChannel(interceptors) as local:
            for register, servicer in servicers:
                local.add(register, servicer)
            local.add_generic_rpc_handlers((Raw(),))
            yield local
        return
    options = (*OPTIONS, *SERVER_OPTIONS) if kind == "tls" else OPTIONS
    server = grpc.aio.server(interceptors=interceptors, options=options)
    for register, servicer in servicers:
        register(servicer, server)
    server.add_generic_rpc_handlers((Raw(),))
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        if kind == "tls":
            async with secured(server, Path(folder)) as wire:
                yield wire
            return
        if kind == "unix":
            address = f"unix:{Path(folder) / 's'}"
            server.add_insecure_port(address)
        else:
            address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            async with channel(address) as wire:
                yield wire
        finally:
            await server.stop(None)


def write_certificates(folder, certificates, service):
    """The files of a service, as a process reads them."""
    paths = []
    for name, text in certificates.files(service).items():
        paths.append(folder / f"{service}-{name}")
        paths[-1].write_text(text)
    return TlsFiles(*paths)


@contextlib.asynccontextmanager
async def secured(server, folder):
    """The channel of a cell whose services run elsewhere: web calls conversation."""
    made = renewed(None, CELL, ("conversation", "web"))
    credentials = server_credentials(write_certificates(folder, made, "conversation"))
    address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    await server.start()
    web = write_certificates(folder, made, "web")
    try:
        async with RemoteChannel({"conversation": address}, CONTRACTS, cell_id=CELL, tls=web, options=OPTIONS) as wire:
            yield wire
    finally:
        await server.stop(None)


def create(title):
    return pb.CreateConversationRequest(title=title)


async def failure(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await awaitable
    return failed.value
