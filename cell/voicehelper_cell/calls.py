"""Who may call whom inside a cell; everything else is refused."""

from __future__ import annotations

_ENGINES = frozenset({"rag", "agent", "voice", "multimodal"})

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
"""Callers by the full name of the service."""

PUBLIC = frozenset({"conversation.v1.ConversationService", "knowledge.v1.KnowledgeService"})
"""What clients may call over gRPC through the router, with a token of their own."""
