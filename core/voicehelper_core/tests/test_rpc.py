"""One contract for the local channel, a Unix socket and TCP: what holds on one holds on all."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from contextvars import ContextVar
from pathlib import Path

import grpc
import grpc.aio
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from voicehelper_core import context, errors, trace
from voicehelper_core.auth import REGISTRY, TokenVerifier
from voicehelper_core.context import TenantContext
from voicehelper_core.gen.conversation.v1 import conversation_pb2 as pb
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc as api
from voicehelper_core.gen.identity.v1 import identity_pb2, identity_pb2_grpc
from voicehelper_core.grpc_service import ContextInterceptor, ErrorInterceptor, outgoing_metadata
from voicehelper_core.rpc import LocalChannel

KEY = OKPKey.generate_key("Ed25519", {"kid": "k1"}, private=True)
leaking: ContextVar[str] = ContextVar("leaking", default="nothing")
caller = TenantContext("tabcdefghijk", "acme", "u1", "cabcdefghijk")


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
        async with LocalChannel(interceptors) as channel:
            for register, servicer in servicers:
                channel.add(register, servicer)
            channel.add_generic_rpc_handlers((Raw(),))
            yield channel
        return
    server = grpc.aio.server(interceptors=interceptors)
    for register, servicer in servicers:
        register(servicer, server)
    server.add_generic_rpc_handlers((Raw(),))
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        if kind == "unix":
            address = f"unix:{Path(folder) / 's'}"
            server.add_insecure_port(address)
        else:
            address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
                yield channel
        finally:
            await server.stop(None)


@pytest.fixture(params=["local", "unix", "tcp"])
def kind(request):
    return request.param


@pytest.fixture
async def servicer():
    return Conversations()


@pytest.fixture
async def channel(kind, servicer):
    async with opened(kind, (api.add_ConversationServiceServicer_to_server, servicer)) as channel:
        yield channel


@pytest.fixture
async def stub(channel):
    return api.ConversationServiceStub(channel)


@pytest.fixture
async def intercepted(kind, servicer):
    """As our servers are; grpc.aio alone leaves the generators of cancelled streams to the garbage collector."""
    registered = (api.add_ConversationServiceServicer_to_server, servicer)
    async with opened(kind, registered, interceptors=(ErrorInterceptor(),)) as channel:
        yield api.ConversationServiceStub(channel)


def create(title):
    return pb.CreateConversationRequest(title=title)


async def failure(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await awaitable
    return failed.value


async def test_unary(stub):
    request = create("hello")
    call = stub.CreateConversation(request, timeout=10)
    answer = await call
    assert (answer.title, request.title) == ("hello", "hello")
    assert await call is answer
    assert await call.code() is grpc.StatusCode.OK
    assert call.done()
    assert not call.cancelled()
    assert not call.cancel()
    assert ("first", "1") in tuple(await call.initial_metadata())
    trailing = dict(tuple(await call.trailing_metadata()))
    assert (trailing["last"], trailing["raw-bin"]) == ("2", b"\x00\xff")


async def test_metadata_arrives(stub, servicer):
    await stub.CreateConversation(create("x"), metadata=(("x-one", "1"), ("x-two-bin", b"\xff")))
    assert servicer.seen["x-one"] == "1"
    assert servicer.seen["x-two-bin"] == b"\xff"


async def test_abort(stub):
    error = await failure(stub.CreateConversation(create("abort")))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "not now: ä"
    assert ("left", "behind") in tuple(error.trailing_metadata())


async def test_a_code_that_was_set(stub):
    error = await failure(stub.CreateConversation(create("code")))
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "gone")


async def test_the_first_status_stays(stub):
    error = await failure(stub.CreateConversation(create("swallow")))
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "first")


async def test_a_handler_that_raises(stub):
    error = await failure(stub.CreateConversation(create("raise")))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert "ValueError" in error.details()


async def test_unknown_methods_and_services(channel, stub):
    error = await failure(stub.ListMessages(pb.ListMessagesRequest()))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    users = identity_pb2_grpc.IdentityServiceStub(channel)
    error = await failure(users.GetUser(identity_pb2.GetUserRequest()))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_deadline(stub, servicer):
    error = await failure(stub.CreateConversation(create("sleep"), timeout=0.3))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(servicer.ended.wait(), 10)
    assert 0 < float((await stub.CreateConversation(create("remaining"), timeout=100)).id) < 101


async def test_deadline_of_a_stream(intercepted, servicer):
    call, got = intercepted.SendMessage(pb.SendMessageRequest(content="sleep"), timeout=0.5), []
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        async for event in call:
            got.append(event.id)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert got == [1, 2, 3]
    await asyncio.wait_for(servicer.ended.wait(), 10)


async def test_cancelling_the_call(stub, servicer):
    call = stub.CreateConversation(create("sleep"))
    await asyncio.wait_for(servicer.started.wait(), 10)
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()
    assert await call.code() is grpc.StatusCode.CANCELLED
    await asyncio.wait_for(servicer.ended.wait(), 10)


async def test_cancelling_who_waits(stub, servicer):
    async def wait():
        await stub.CreateConversation(create("sleep"))

    task = asyncio.create_task(wait())
    await asyncio.wait_for(servicer.started.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(servicer.ended.wait(), 10)


async def test_cancelling_who_reads_a_stream(intercepted, servicer):
    got = []

    async def read():
        async for event in intercepted.SendMessage(pb.SendMessageRequest(content="sleep")):
            got.append(event.id)

    task = asyncio.create_task(read())
    while len(got) < 3:  # earlier, grpc.aio's own client may lose the cancellation
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(servicer.ended.wait(), 10)


async def test_a_stream_that_is_left_early(intercepted, servicer):
    call = intercepted.SendMessage(pb.SendMessageRequest(content="sleep"))
    async for event in call:
        assert event.id == 1
        break
    call.cancel()
    await asyncio.wait_for(servicer.ended.wait(), 10)


@pytest.mark.parametrize("kind", ["local"], indirect=True)
async def test_a_dropped_stream_is_cancelled(stub, servicer):
    """grpc.aio promises that too, some time later."""

    async def look():
        async for event in stub.SendMessage(pb.SendMessageRequest(content="sleep")):
            return event.id
        return None

    assert await look() == 1
    await asyncio.wait_for(servicer.ended.wait(), 10)


async def test_a_timeout_around_a_call(stub, servicer):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stub.CreateConversation(create("sleep")), 0.3)
    await asyncio.wait_for(servicer.ended.wait(), 10)


async def test_streaming(stub):
    call = stub.SendMessage(pb.SendMessageRequest(content="x", idempotency_key="1000"))
    assert [event.id async for event in call] == list(range(1, 1001))
    assert await call.code() is grpc.StatusCode.OK
    call = stub.FollowMessage(pb.FollowMessageRequest())
    assert [(await call.read()).id, (await call.read()).id, await call.read()] == [1, 2, grpc.aio.EOF]
    assert [event.id async for event in stub.SendMessage(pb.SendMessageRequest(idempotency_key="0"))] == []


@pytest.mark.parametrize(("content", "code"), [("abort", "NOT_FOUND"), ("raise", "UNKNOWN")])
async def test_streams_that_fail_give_first_what_they_sent(stub, content, code):
    got = []
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        async for event in stub.SendMessage(pb.SendMessageRequest(content=content)):
            got.append(event.id)
    assert got == [1, 2, 3]
    assert failed.value.code() is grpc.StatusCode[code]


async def test_streams_of_requests(channel):
    async def items():
        for item in (b"a", b"b", b"c"):
            yield item

    join, echo = channel.stream_unary("/raw/Join"), channel.stream_stream("/raw/Echo")
    assert await join(items()) == b"abc"
    assert await join(iter([b"x"] * 100)) == b"x" * 100
    assert [item async for item in echo(items())] == [b"A", b"B", b"C"]
    call = echo()
    await call.write(b"one")
    assert await call.read() == b"ONE"
    await call.write(b"two")
    await call.done_writing()
    assert await call.read() == b"TWO"
    assert await call.read() is grpc.aio.EOF
    with pytest.raises(asyncio.InvalidStateError):
        await call.write(b"late")


async def test_context_does_not_leak(stub):
    leaking.set("from the caller")
    with context.use(caller), trace.use(trace.child_of(None)):
        call = stub.CreateConversation(create("x"))
        assert (await call).mode == "from the handler"
        assert leaking.get() == "from the caller"
        assert context.current() is caller


async def test_a_closed_channel_takes_no_calls(stub, channel, servicer):
    call = stub.CreateConversation(create("sleep"))
    await asyncio.wait_for(servicer.started.wait(), 10)
    await channel.close()
    with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
        await call
    await asyncio.wait_for(servicer.ended.wait(), 10)
    with pytest.raises(grpc.aio.UsageError):
        await stub.CreateConversation(create("x"))


# Interceptors.


def token(**claims):
    now = int(time.time())
    body = {"iss": "voicehelper", "aud": "voicehelper-api", "sub": "u1", "tenant": "acme", "tid": "tabcdefghijk"}
    body |= {"iat": now, "exp": now + 60, "jti": "j"} | claims
    return jwt.encode({"alg": "EdDSA", "kid": "k1"}, body, KEY, registry=REGISTRY)


def admit(claims):
    if claims.tid != "tabcdefghijk":
        raise errors.PermissionDenied("the tenant is not placed here")
    return TenantContext(claims.tid, claims.tenant, claims.sub, "cabcdefghijk")


@pytest.fixture
async def guarded(kind, servicer):
    verifier = TokenVerifier(keys=KeySet([OKPKey.import_key(KEY.as_dict(private=False))]))
    rules = {"conversation.v1.ConversationService": frozenset({"web"})}
    interceptors = (ContextInterceptor(verifier, admit, rules),)
    registered = (api.add_ConversationServiceServicer_to_server, servicer)
    async with opened(kind, registered, interceptors=interceptors) as channel:
        yield api.ConversationServiceStub(channel)


def said(by="web", **claims):
    return (("authorization", f"Bearer {token(**claims)}"), ("x-caller", by), ("x-request-id", "r1"))


async def test_the_interceptor_makes_the_context(guarded):
    with trace.use(trace.child_of(None)) as span:
        metadata = (*said(), ("traceparent", span.traceparent))
    answer = await guarded.CreateConversation(create("who"), metadata=metadata)
    assert (answer.id, answer.title, answer.mode) == ("u1", span.trace_id, "nothing")
    assert context.current_or_none() is None


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((("x-caller", "web"),), "UNAUTHENTICATED"),
        (said(exp=1), "UNAUTHENTICATED"),
        (said(by="rag"), "PERMISSION_DENIED"),
        (said(tid="txxxxxxxxxxx"), "PERMISSION_DENIED"),
    ],
)
async def test_the_interceptor_refuses(guarded, servicer, metadata, code):
    error = await failure(guarded.CreateConversation(create("who"), metadata=metadata))
    assert error.code() is grpc.StatusCode[code]
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        async for _ in guarded.SendMessage(pb.SendMessageRequest(), metadata=metadata):
            pass
    assert failed.value.code() is grpc.StatusCode[code]
    assert not servicer.started.is_set()


async def test_errors_become_codes_and_hide_what_nobody_expected(guarded):
    error = await failure(guarded.CreateConversation(create("app error"), metadata=said()))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
    assert isinstance(errors.from_grpc(error), errors.QuotaExceeded)
    error = await failure(guarded.CreateConversation(create("raise"), metadata=said()))
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "something went wrong on our side")
    error = await failure(guarded.ListMessages(pb.ListMessagesRequest(), metadata=said()))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_streams_run_and_end_in_the_context(guarded, servicer):
    call = guarded.SendMessage(pb.SendMessageRequest(content="x"), metadata=said())
    assert [event.id async for event in call] == [1, 2, 3]
    assert servicer.who_at_the_end.user_id == "u1"
    servicer.ended.clear()
    call = guarded.SendMessage(pb.SendMessageRequest(content="sleep"), metadata=said())
    assert (await call.read()).id == 1
    call.cancel()
    await asyncio.wait_for(servicer.ended.wait(), 10)
    assert servicer.who_at_the_end.user_id == "u1"
    call = guarded.FollowMessage(pb.FollowMessageRequest(), metadata=said())
    assert [event.id async for event in call] == [1, 2]


async def test_error_interceptor_alone(intercepted):
    error = await failure(intercepted.CreateConversation(create("app error")))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await intercepted.CreateConversation(create("who"))).id == ""


async def test_outgoing_metadata_can_always_be_sent(stub):
    strange = TenantContext("tabcdefghijk", "acme", "u1", "cabcdefghijk", request_id="ä\n\x00 id")
    with context.use(strange):
        await stub.CreateConversation(create("x"), metadata=outgoing_metadata("web"))
