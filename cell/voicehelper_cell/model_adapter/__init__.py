"""Models behind one contract: an OpenAI-compatible provider, or the built-in ``local-extractive``.

Called by the model router only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.model_adapter.grpc import ModelAdapterServicer


def build(settings: Any) -> ModelAdapterServicer:
    """The service behind its gRPC surface."""
    from voicehelper_cell.model_adapter.extractive import LocalExtractive
    from voicehelper_cell.model_adapter.grpc import ModelAdapterServicer

    if not settings.model_base_url:
        return ModelAdapterServicer(LocalExtractive(), None)
    from voicehelper_cell.model_adapter.openai import OpenAICompatible  # httpx is not needed otherwise

    return ModelAdapterServicer(LocalExtractive(), OpenAICompatible(settings))
