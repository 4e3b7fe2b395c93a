"""The interceptors of our servers do the same over every kind of channel."""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio
import prometheus_client
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from voicehelper_core import context, errors, trace
from voicehelper_core.auth import REGISTRY, TokenVerifier
from voicehelper_core.context import TenantContext
from voicehelper_core.gen.conversation.v1 import conversation_pb2 as pb
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc as api
from voicehelper_core.grpc_caller import certified, stated
from voicehelper_core.grpc_service import ContextInterceptor, ErrorInterceptor
from voicehelper_core.tests.rpc_harness import CELL, KINDS, Conversations, create, failure, opened

KEY = OKPKey.generate_key("Ed25519", {"kid": "k1"}, private=True)
REGISTER = api.add_ConversationServiceServicer_to_server


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
async def servicer():
    return Conversations()


def token(**claims):
    now = int(time.time())
    body = {"iss": "voicehelper", "aud": "voicehelper-api", "sub": "u1", "tenant": "acme", "tid": "tabcdefghijk"}
    body |= {"iat": now, "exp": now + 86_400, "jti": "j"} | claims
    return jwt.encode({"alg": "EdDSA", "kid": "k1"}, body, KEY, registry=REGISTRY)


def admit(claims):
    if claims.tid != "tabcdefghijk":
        raise errors.PermissionDenied("the tenant is not placed here")
    return TenantContext(claims.tid, claims.tenant, claims.sub, "cabcdefghijk")


@pytest.fixture
async def guarded(kind, servicer):
    verifier = TokenVerifier(keys=KeySet([OKPKey.import_key(KEY.as_dict(private=False))]))
    rules = {"conversation.v1.ConversationService": frozenset({"web"})}
    identify = certified(CELL) if kind == "tls" else stated
    interceptors = (ContextInterceptor(verifier, admit, rules, identify=identify),)
    async with opened(kind, (REGISTER, servicer), interceptors=interceptors) as channel:
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
async def test_the_interceptor_refuses(guarded, servicer, kind, metadata, code):
    if kind == "tls" and ("x-caller", "rag") in metadata:
        return  # the certificate says who calls, see test_tls.py
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


async def test_calls_are_counted(guarded):
    def counted(method):
        labels = {"grpc_service": "conversation.v1.ConversationService", "grpc_method": method}
        return prometheus_client.REGISTRY.get_sample_value("grpc_server_started_total", labels) or 0

    before = counted("SendMessage"), counted("CreateConversation")
    assert [event.id async for event in guarded.SendMessage(pb.SendMessageRequest(content="x"), metadata=said())]
    await failure(guarded.CreateConversation(create("raise"), metadata=said()))
    assert (counted("SendMessage"), counted("CreateConversation")) == (before[0] + 1, before[1] + 1)


async def test_error_interceptor_alone(kind, servicer):
    async with opened(kind, (REGISTER, servicer), interceptors=(ErrorInterceptor(),)) as channel:
        await _without_a_tenant(api.ConversationServiceStub(channel))


async def _without_a_tenant(intercepted):
    error = await failure(intercepted.CreateConversation(create("app error")))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await intercepted.CreateConversation(create("who"))).id == ""
