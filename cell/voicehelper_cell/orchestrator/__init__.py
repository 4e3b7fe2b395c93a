"""Chooses the engine for a message. Called by conversation and the mobile BFF; calls rag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.orchestrator.grpc import OrchestratorServicer


def build(settings: Any, channel: Any) -> OrchestratorServicer:
    """The service behind its gRPC surface."""
    from voicehelper_cell.orchestrator.grpc import OrchestratorServicer
    from voicehelper_cell.orchestrator.service import OrchestratorService

    return OrchestratorServicer(OrchestratorService(channel, context_tokens=settings.context_tokens))
