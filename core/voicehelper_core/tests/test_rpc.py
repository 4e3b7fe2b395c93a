"""One contract for the local channel, a Unix socket and TCP: what holds on one holds on all."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from voicehelper_core import context, trace
from voicehelper_core.context import TenantContext
from voicehelper_core.gen.conversation.v1 import conversation_pb2 as pb
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc as api
from voicehelper_core.gen.identity.v1 import identity_pb2, identity_pb2_grpc
from voicehelper_core.grpc_service import ErrorInterceptor, outgoing_metadata
from voicehelper_core.tests.rpc_harness import KINDS, Conversations, create, failure, leaking, opened

caller = TenantContext("tabcdefghijk", "acme", "u1", "cabcdefghijk")


@pytest.fixture(params=KINDS)
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


async def test_outgoing_metadata_can_always_be_sent(stub):
    strange = TenantContext("tabcdefghijk", "acme", "u1", "cabcdefghijk", request_id="ä\n\x00 id")
    with context.use(strange):
        await stub.CreateConversation(create("x"), metadata=outgoing_metadata("web"))
