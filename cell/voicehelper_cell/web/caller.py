"""Who calls: the verified token, the tenant that is placed here, and the stubs of the services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from voicehelper_core import context
from voicehelper_core.auth import Claims, bearer
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.gen.analytics.v1 import usage_pb2_grpc
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2_grpc
from voicehelper_core.grpc_service import outgoing_metadata, token_of_call

from voicehelper_cell.placements import refuse_service_token

CALLER = "web"


@dataclass(frozen=True, slots=True)
class Services:
    """Clients of what the BFF may call."""

    conversation: Any
    knowledge: Any
    usage: Any

    @classmethod
    def over(cls, channel: Any, analytics: Any) -> Services:
        """``channel`` reaches the cell's services, ``analytics`` the usage API."""
        return cls(
            conversation_pb2_grpc.ConversationServiceStub(channel),
            knowledge_pb2_grpc.KnowledgeServiceStub(channel),
            usage_pb2_grpc.UsageServiceStub(analytics),
        )


def metadata() -> tuple[tuple[str, str], ...]:
    """Metadata of a call to a service."""
    return outgoing_metadata(CALLER)


async def _verified(request: Request) -> tuple[Claims, str]:
    token = bearer(request.headers.get("authorization"))
    claims = await request.app.state.verifier.verify(token)
    named = request.headers.getlist("x-tenant-id")
    if named and (len(named) > 1 or named[0] != claims.tenant):
        raise PermissionDenied("X-Tenant-ID and the token name different tenants")
    return claims, token


@asynccontextmanager
async def _enter(request: Request, claims: Claims, token: str) -> AsyncIterator[TenantContext]:
    admitted = await request.app.state.placements.admit(claims)
    who = TenantContext(
        tenant_id=admitted.tenant_id,
        tenant=admitted.tenant,
        user_id=admitted.user_id,
        cell_id=admitted.cell_id,
        roles=admitted.roles,
        scopes=admitted.scopes,
        request_id=request.state.request_id,
    )
    with context.use(who):
        reset = token_of_call.set(token)
        try:
            yield who
        finally:
            token_of_call.reset(reset)


async def _user(request: Request) -> AsyncIterator[TenantContext]:
    claims, token = await _verified(request)
    refuse_service_token(claims)
    async with _enter(request, claims, token) as who:
        yield who


async def _prober(request: Request) -> AsyncIterator[TenantContext]:
    claims, token = await _verified(request)
    if "probe" not in claims.scopes:
        raise PermissionDenied("this needs a service token with the scope 'probe'")
    async with _enter(request, claims, token) as who:
        yield who


async def _services(request: Request) -> Services:  # async: FastAPI would ask a thread for it
    services: Services = request.app.state.services
    return services


USER = Depends(_user)
"""For whole surfaces: everything below runs in the context of the token's user."""
Prober = Annotated[TenantContext, Depends(_prober)]
Calls = Annotated[Services, Depends(_services)]
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]
