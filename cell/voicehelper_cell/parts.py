"""How each service is built and what it does besides answering calls; the same in a compact and in an expanded cell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from voicehelper_core.gen.ai.v1 import orchestrator_pb2_grpc
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc
from voicehelper_core.gen.indexing.v1 import indexing_pb2_grpc
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2_grpc
from voicehelper_core.gen.model.v1 import model_pb2_grpc
from voicehelper_core.gen.rag.v1 import rag_pb2_grpc
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2_grpc

from voicehelper_cell import (
    conversation,
    indexing,
    knowledge,
    model_adapter,
    model_router,
    orchestrator,
    rag,
    retrieval,
)
from voicehelper_cell.resources import Resources


def _is_ready() -> str | None:
    return None


async def _nothing() -> None:
    """Nothing has to end."""


@dataclass(frozen=True, slots=True)
class Part:
    """One service as it runs in a process."""

    register: Callable[[Any, Any], None]
    servicer: Any
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    """What runs beside the calls until it is cancelled; one that ends by itself ends the process."""
    reason: Callable[[], str | None] = _is_ready
    """Why the service is not ready; None when it is."""
    stop: Callable[[], Awaitable[None]] = _nothing
    """Take nothing new and let work end, while the servers still answer."""
    close: Callable[[], Awaitable[None]] = _nothing
    """After the servers have ended."""

    def add_to(self, server: Any) -> None:
        """Register with a server or a local channel."""
        self.register(self.servicer, server)


async def _conversation(resources: Resources) -> Part:
    from voicehelper_cell.conversation.recovery import Recovery

    placements = resources.placements
    database = await resources.database("conversation")
    servicer = conversation.build(resources.settings, database, resources.services, placements)
    recovery = Recovery(servicer.runs, placements, alone=resources.alone)
    return Part(
        conversation_pb2_grpc.add_ConversationServiceServicer_to_server,
        servicer,
        tasks={"recover": recovery.run, "leases": recovery.keep},
        reason=lambda: recovery.reason,
        stop=lambda: servicer.runs.close(grace=resources.drain_seconds),
        close=lambda: servicer.runs.close(grace=0),
    )


async def _knowledge(resources: Resources) -> Part:
    database = await resources.database("knowledge")
    servicer = knowledge.build(resources.settings, database, resources.services, resources.placements.limits)
    return Part(knowledge_pb2_grpc.add_KnowledgeServiceServicer_to_server, servicer)


async def _indexing(resources: Resources) -> Part:
    from voicehelper_cell.consumer import EventConsumer

    settings, placements, alone = resources.settings, resources.placements, resources.alone
    database = await resources.database("knowledge")
    servicer = indexing.build(settings, database, resources.vectors, resources.embedder, alone=alone)
    events = EventConsumer(
        settings, "document.events", "indexing", placements=placements, handler=servicer.events.handle
    )
    return Part(
        indexing_pb2_grpc.add_IndexingServiceServicer_to_server,
        servicer,
        tasks={
            "document-events": events.run,
            "indexing": lambda: servicer.background(placements.all, lambda: alone or events.leads),
        },
    )


async def _retrieval(resources: Resources) -> Part:
    database = await resources.database("knowledge")
    servicer = retrieval.build(resources.settings, database, resources.vectors, resources.embedder)
    return Part(retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server, servicer)


async def _orchestrator(resources: Resources) -> Part:
    servicer = orchestrator.build(resources.settings, resources.services)
    return Part(orchestrator_pb2_grpc.add_OrchestratorServicer_to_server, servicer)


async def _rag(resources: Resources) -> Part:
    return Part(rag_pb2_grpc.add_RagServiceServicer_to_server, rag.build(resources.services))


async def _model_router(resources: Resources) -> Part:
    servicer = model_router.build(resources.settings, resources.services, resources.placements)
    return Part(model_pb2_grpc.add_ModelRouterServicer_to_server, servicer)


async def _model_adapter(resources: Resources) -> Part:
    servicer = model_adapter.build(resources.settings)
    provider = servicer.provider
    return Part(
        model_pb2_grpc.add_ModelAdapterServicer_to_server,
        servicer,
        close=provider.close if provider is not None else _nothing,
    )


PARTS: Mapping[str, Callable[[Resources], Awaitable[Part]]] = {
    "conversation": _conversation,
    "knowledge": _knowledge,
    "indexing": _indexing,
    "retrieval": _retrieval,
    "orchestrator": _orchestrator,
    "rag": _rag,
    "model_router": _model_router,
    "model_adapter": _model_adapter,
}
"""By service; ``web`` is no part: its process is made of its surfaces (``web/``)."""
