"""The services of a cell: who may call whom, and what each reaches outside of the cell's own services.

One place for three readers: the interceptor that refuses every other call, the assembly of a cell's processes, and the
operator, which makes logins, certificates and network policies from it. Everything that is not here is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_ENGINES = frozenset({"rag", "agent", "voice", "multimodal"})


class Need(StrEnum):
    """Something outside of a cell's services that a service of it reaches over the network."""

    POSTGRES = "postgres"
    KAFKA = "kafka"
    MILVUS = "milvus"
    OBJECTS = "objects"
    INFERENCE = "inference"
    IDENTITY = "identity"
    """Identity's public keys: every service verifies tokens."""
    ANALYTICS = "analytics"
    """The usage API."""
    PROVIDER = "provider"
    """The provider of a model over HTTP, where one is configured."""


_ALWAYS = frozenset({Need.POSTGRES, Need.IDENTITY})
"""Every service admits tokens itself: by identity's keys, and by the list of placed tenants in Postgres."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a cell."""

    contract: str | None
    """Full name of its gRPC service; None for the web BFF, which serves HTTP and hands on the ``PUBLIC`` ones."""
    schema: str | None = None
    """The Postgres schema (``names.SERVICES``) that it works in; without one it reads the list of tenants only."""
    needs: frozenset[Need] = _ALWAYS


SERVICES: Mapping[str, Service] = {
    "web": Service(None, needs=_ALWAYS | {Need.ANALYTICS}),
    "conversation": Service("conversation.v1.ConversationService", "conversation"),
    "knowledge": Service("knowledge.v1.KnowledgeService", "knowledge", _ALWAYS | {Need.OBJECTS}),
    "indexing": Service(
        "indexing.v1.IndexingService",
        "knowledge",
        _ALWAYS | {Need.KAFKA, Need.MILVUS, Need.OBJECTS, Need.INFERENCE},
    ),
    "retrieval": Service("retrieval.v1.RetrievalService", "knowledge", _ALWAYS | {Need.MILVUS, Need.INFERENCE}),
    "orchestrator": Service("ai.v1.Orchestrator"),
    "rag": Service("rag.v1.RagService"),
    "model_router": Service("model.v1.ModelRouter"),
    "model_adapter": Service("model.v1.ModelAdapter", needs=_ALWAYS | {Need.PROVIDER}),
}
"""By the names of their folders in ``cell/voicehelper_cell``."""

CALLERS: dict[str, frozenset[str]] = {
    "conversation.v1.ConversationService": frozenset({"web", "mobile"}),
    "knowledge.v1.KnowledgeService": frozenset({"web"}),
    "indexing.v1.IndexingService": frozenset({"knowledge"}),
    "retrieval.v1.RetrievalService": frozenset({"knowledge", "rag", "agent"}),
    "ai.v1.Orchestrator": frozenset({"conversation", "mobile"}),
    "rag.v1.RagService": frozenset({"orchestrator"}),
    "model.v1.ModelRouter": _ENGINES,
    "model.v1.ModelAdapter": frozenset({"model_router"}),
}
"""Callers by the full name of the service. Some of them are services to come (mobile, agent, voice, multimodal)."""

PUBLIC = frozenset({"conversation.v1.ConversationService", "knowledge.v1.KnowledgeService"})
"""What clients may call over gRPC through the router, with a token of their own; the web BFF takes these calls."""

CONTRACTS: Mapping[str, str] = {service.contract: name for name, service in SERVICES.items() if service.contract}
"""Services by the full name of their gRPC service."""


def callees(service: str) -> frozenset[str]:
    """The services that a service may call."""
    return frozenset(CONTRACTS[contract] for contract, callers in CALLERS.items() if service in callers)


def callers(service: str) -> frozenset[str]:
    """The services of a cell that may call a service; nobody of them calls the web BFF."""
    contract = SERVICES[service].contract
    return CALLERS[contract] & SERVICES.keys() if contract else frozenset()
