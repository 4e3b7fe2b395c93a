"""Chooses a model that the tenant may use. Called by the engines; calls the adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.model_router.grpc import ModelRouterServicer


def build(settings: Any, channel: Any, placements: Any) -> ModelRouterServicer:
    """The service behind its gRPC surface."""
    from voicehelper_cell.model_router.grpc import ModelRouterServicer
    from voicehelper_cell.model_router.service import ModelRouterService

    default = settings.model_name if settings.model_base_url else ""
    return ModelRouterServicer(ModelRouterService(channel, placements.limits, default=default))
