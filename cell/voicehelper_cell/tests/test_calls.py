"""The call graph: it names real services, has no way around a service, and is enforced."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from voicehelper_core import auth, context
from voicehelper_core.call_graph import CALLERS, PUBLIC
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.gen.ai.v1 import orchestrator_pb2
from voicehelper_core.gen.conversation.v1 import conversation_pb2
from voicehelper_core.gen.indexing.v1 import indexing_pb2
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2
from voicehelper_core.gen.model.v1 import model_pb2, model_pb2_grpc
from voicehelper_core.gen.rag.v1 import rag_pb2
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2
from voicehelper_core.grpc_service import ContextInterceptor, outgoing_metadata, token_of_call
from voicehelper_core.rpc import LocalChannel

MODULES: tuple[Any, ...] = (
    conversation_pb2, indexing_pb2, knowledge_pb2, model_pb2, orchestrator_pb2, rag_pb2, retrieval_pb2,
)  # fmt: skip
SERVICES = {service.full_name for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()}
KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})


def test_every_service_of_a_cell_has_its_callers_and_no_other_is_named() -> None:
    assert set(CALLERS) == SERVICES
    assert set(CALLERS) >= PUBLIC


def test_only_the_bffs_reach_what_clients_use_and_nobody_passes_a_service_by() -> None:
    assert CALLERS["model.v1.ModelAdapter"] == {"model_router"}
    assert CALLERS["rag.v1.RagService"] == {"orchestrator"}
    for service in SERVICES - PUBLIC:
        assert "web" not in CALLERS[service]


class _Adapter(model_pb2_grpc.ModelAdapterServicer):
    async def Generate(self, request: Any, _: Any) -> AsyncIterator[Any]:
        yield model_pb2.GenerateChunk(delta=context.current().tenant)


def _token(**claims: Any) -> str:
    now = int(time.time())
    body = {
        "iss": "voicehelper", "aud": "voicehelper-api", "sub": "u1", "tenant": "acme", "tid": "tacme0000001",
        "iat": now, "exp": now + 60, "jti": uuid.uuid4().hex,
    } | claims  # fmt: skip
    return jwt.encode({"alg": "EdDSA", "kid": "k1"}, body, KEY, registry=auth.REGISTRY)


def _admit(claims: auth.Claims) -> TenantContext:
    if claims.tenant != "acme":
        raise PermissionDenied("not placed here")
    return TenantContext("tacme0000001", "acme", claims.sub, "ctest0000001")


async def _ask(caller: str, token: str | None) -> str:
    verifier = auth.TokenVerifier(keys=KeySet([KEY]))
    local = LocalChannel([ContextInterceptor(verifier, _admit, CALLERS)])
    local.add(model_pb2_grpc.add_ModelAdapterServicer_to_server, _Adapter())
    reset = token_of_call.set(token)
    try:
        call = model_pb2_grpc.ModelAdapterStub(local).Generate(
            model_pb2.GenerateRequest(), metadata=outgoing_metadata(caller)
        )
        return "".join([chunk.delta async for chunk in call])
    finally:
        token_of_call.reset(reset)
        await local.close()


async def test_the_allowed_caller_reaches_the_service_in_the_tokens_tenant() -> None:
    assert await _ask("model_router", _token()) == "acme"


@pytest.mark.parametrize(
    ("caller", "claims", "code"),
    [
        ("rag", {}, grpc.StatusCode.PERMISSION_DENIED),
        ("web", {}, grpc.StatusCode.PERMISSION_DENIED),
        ("", {}, grpc.StatusCode.PERMISSION_DENIED),
        ("model_router", None, grpc.StatusCode.UNAUTHENTICATED),
        ("model_router", "x.y.z", grpc.StatusCode.UNAUTHENTICATED),
        ("model_router", {"exp": 1}, grpc.StatusCode.UNAUTHENTICATED),
        ("model_router", {"aud": "other"}, grpc.StatusCode.UNAUTHENTICATED),
        ("model_router", {"tenant": "globex"}, grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=("past a service", "a bff", "unnamed", "no token", "no jwt", "expired", "audience", "stranger"),
)
async def test_everybody_else_is_refused(caller: str, claims: Any, code: grpc.StatusCode) -> None:
    token = _token(**claims) if isinstance(claims, dict) else claims
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _ask(caller, token)
    assert caught.value.code() == code
