"""The BFF on a loopback socket, with services and tokens that tests make."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from voicehelper_cell.settings import CellSettings
from voicehelper_cell.web import app as web
from voicehelper_cell.web.caller import Services
from voicehelper_core import context
from voicehelper_core.auth import AUDIENCE, ISSUER, REGISTRY, Claims, TokenVerifier
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import AppError, PermissionDenied
from voicehelper_core.gen.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2, knowledge_pb2_grpc
from voicehelper_core.grpc_service import ErrorInterceptor
from voicehelper_core.http import serve_http
from voicehelper_core.rpc import LocalChannel

CELL, TENANT_ID = "ctest0000001", "tacme0000001"
CITATION = conversation_pb2.Citation(document_id="d1", title="Fees", start=3, end=8, text="a\n\nb")


def answer(*, text: str = "Forty-\n\ntwo.", error: bool = False) -> list[Any]:
    """The events of an answer."""
    event = conversation_pb2.MessageEvent
    message = conversation_pb2.Message(id="m1", role="assistant", content=text, citations=[CITATION])
    last = event(id=4, type="error", error_code="unavailable", error_detail="no model")
    return [
        event(id=1, type="message.started", message=conversation_pb2.Message(id="m1", role="assistant")),
        event(id=2, type="delta", delta=text),
        event(id=3, type="citation", citation=CITATION),
        last if error else event(id=4, type="message.completed", message=message),
    ]


class Conversations(conversation_pb2_grpc.ConversationServiceServicer):
    def __init__(self) -> None:
        self.script: list[Any] = answer()
        self.requests: list[Any] = []
        self.who: list[TenantContext | None] = []

    async def CreateConversation(self, request: Any, _: Any) -> Any:
        self.requests.append(request)
        self.who.append(context.current_or_none())
        return conversation_pb2.Conversation(id="c1", title=request.title, mode="chat")

    async def SendMessage(self, request: Any, _: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        async for event in self._play(0):
            yield event

    async def FollowMessage(self, request: Any, _: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        async for event in self._play(request.after):
            yield event

    async def _play(self, after: int) -> AsyncIterator[Any]:
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif step.id > after:
                yield step


class Knowledge(knowledge_pb2_grpc.KnowledgeServiceServicer):
    def __init__(self) -> None:
        self.uploads: list[Any] = []
        self.error: AppError | None = None

    async def UploadDocument(self, request: Any, _: Any) -> Any:
        if self.error:
            raise self.error
        self.uploads.append(request)
        return knowledge_pb2.Document(id="d1", status="uploaded", size_bytes=len(request.content))


class Placed:
    """acme is placed here, nobody else."""

    async def admit(self, claims: Claims) -> TenantContext:
        if claims.tid != TENANT_ID:
            raise PermissionDenied("the token's tenant is not placed in this cell")
        return TenantContext(TENANT_ID, claims.tenant, claims.sub, CELL, frozenset(claims.roles))


@dataclass
class Bff:
    """A running BFF."""

    conversations: Conversations
    knowledge: Knowledge
    key: OKPKey
    url: str = ""

    def token(self, **claims: Any) -> str:
        now = int(time.time())
        body = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "tenant": "acme", "tid": TENANT_ID, "roles": ["member"],
            "scopes": [], "iat": now, "exp": now + 600, "jti": uuid.uuid4().hex, **claims,
        }  # fmt: skip
        return jwt.encode({"alg": "EdDSA", "kid": self.key.kid}, body, self.key, registry=REGISTRY)

    def client(self, **claims: Any) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.token(**claims)}", "X-Tenant-ID": "acme"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=20)


@pytest.fixture
async def bff() -> AsyncIterator[Bff]:
    made = Bff(Conversations(), Knowledge(), OKPKey.generate_key("Ed25519", {"kid": "k1"}))
    channel = LocalChannel([ErrorInterceptor()])
    channel.add(conversation_pb2_grpc.add_ConversationServiceServicer_to_server, made.conversations)
    channel.add(knowledge_pb2_grpc.add_KnowledgeServiceServicer_to_server, made.knowledge)
    settings = CellSettings(cell_id=CELL, release="r1", max_upload_bytes=1000)
    verifier = TokenVerifier(keys=KeySet([made.key]))
    app = web.build(settings, Services.over(channel, channel), verifier, Placed())  # type: ignore[arg-type]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = serve_http(app, "127.0.0.1", port)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    made.url = f"http://127.0.0.1:{port}"
    yield made
    server.should_exit = True
    await serving
    await channel.close()
