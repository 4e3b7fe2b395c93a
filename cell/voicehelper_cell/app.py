"""Assembles a compact cell: every service in one process, behind its contract."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from typing import Any

import grpc.aio
from voicehelper_core.auth import TokenVerifier
from voicehelper_core.call_graph import CALLERS
from voicehelper_core.gen.ai.v1 import orchestrator_pb2_grpc
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc
from voicehelper_core.gen.indexing.v1 import indexing_pb2_grpc
from voicehelper_core.gen.inference.v1 import inference_pb2_grpc
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2_grpc
from voicehelper_core.gen.model.v1 import model_pb2_grpc
from voicehelper_core.gen.rag.v1 import rag_pb2_grpc
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2_grpc
from voicehelper_core.grpc_service import OPTIONS, ContextInterceptor, channel
from voicehelper_core.http import serve_http
from voicehelper_core.log import get_logger
from voicehelper_core.rpc import LocalChannel

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
from voicehelper_cell.consumer import EventConsumer
from voicehelper_cell.database import Database, Pool, connect
from voicehelper_cell.placements import Placements
from voicehelper_cell.settings import CellSettings
from voicehelper_cell.vectors import Vectors
from voicehelper_cell.web import app as web
from voicehelper_cell.web.caller import Services

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cell:
    """What runs, and what has to be closed."""

    local: LocalChannel
    conversation: Any
    knowledge: Any
    indexing: Any
    adapter: Any
    vectors: Vectors
    inference: grpc.aio.Channel

    async def close(self) -> None:
        """Answers end or are marked, then everything else closes."""
        await self.conversation.runs.close(grace=0)
        await self.local.close()
        await self.inference.close()
        await self.vectors.close()
        if self.adapter.provider is not None:
            await self.adapter.provider.close()


def assemble(settings: CellSettings, pool: Pool, placements: Placements, verifier: TokenVerifier) -> Cell:
    """All services over one local channel."""
    local = LocalChannel([ContextInterceptor(verifier, placements.admit_known, CALLERS)])
    conversations = Database(pool, settings.cell_id, "conversation")
    documents = Database(pool, settings.cell_id, "knowledge")
    vectors = Vectors(settings)
    inference = channel(settings.inference_address)
    embedder = inference_pb2_grpc.InferenceServiceStub(inference)
    cell = Cell(
        local,
        conversation.build(settings, conversations, local, placements),
        knowledge.build(settings, documents, local, placements.limits),
        indexing.build(settings, documents, vectors, embedder),
        model_adapter.build(settings),
        vectors,
        inference,
    )
    local.add(conversation_pb2_grpc.add_ConversationServiceServicer_to_server, cell.conversation)
    local.add(knowledge_pb2_grpc.add_KnowledgeServiceServicer_to_server, cell.knowledge)
    local.add(indexing_pb2_grpc.add_IndexingServiceServicer_to_server, cell.indexing)
    local.add(
        retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server,
        retrieval.build(settings, documents, vectors, embedder),
    )
    local.add(orchestrator_pb2_grpc.add_OrchestratorServicer_to_server, orchestrator.build(settings, local))
    local.add(rag_pb2_grpc.add_RagServiceServicer_to_server, rag.build(local))
    local.add(model_pb2_grpc.add_ModelRouterServicer_to_server, model_router.build(settings, local, placements))
    local.add(model_pb2_grpc.add_ModelAdapterServicer_to_server, cell.adapter)
    return cell


def public_server(settings: CellSettings, cell: Cell, verifier: TokenVerifier, placements: Placements) -> Any:
    """gRPC for clients, through the router: what a user may call, with the user's token."""
    server = grpc.aio.server(interceptors=[ContextInterceptor(verifier, placements.admit_user)], options=OPTIONS)
    conversation_pb2_grpc.add_ConversationServiceServicer_to_server(cell.conversation, server)
    knowledge_pb2_grpc.add_KnowledgeServiceServicer_to_server(cell.knowledge, server)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
    return server


async def serve(settings: CellSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = await connect(settings.postgres_dsn, settings.postgres_pool_size)
    placements = Placements(settings.postgres_dsn, settings.cell_id)
    verifier = TokenVerifier(settings.jwks_url, cache_file=settings.jwks_cache_file)
    cell = assemble(settings, pool, placements, verifier)
    analytics = channel(settings.analytics_address)
    app = web.build(settings, Services.over(cell.local, analytics), verifier, placements)
    events = EventConsumer(
        settings, "document.events", "indexing", placements=placements, handler=cell.indexing.events.handle
    )
    recovered = asyncio.Event()

    async def ready() -> str | None:
        return placements.reason or (None if recovered.is_set() else "unfinished answers are being looked at")

    app.state.ready = ready
    server = public_server(settings, cell, verifier, placements)
    await server.start()
    http = serve_http(app, settings.http_host, settings.http_port)
    tasks = [
        asyncio.create_task(placements.run(), name="placements"),
        asyncio.create_task(_recover(cell, placements, recovered), name="recover"),
        asyncio.create_task(events.run(), name="document-events"),
        asyncio.create_task(cell.indexing.background(placements.all), name="indexing"),
    ]
    serving = asyncio.create_task(http.serve(), name="http")
    waiting = asyncio.create_task(stop.wait(), name="stop")
    watched = {serving, waiting, *(task for task in tasks if task.get_name() != "recover")}
    done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    http.should_exit = True
    await cell.conversation.runs.close()
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, serving, return_exceptions=True)
    await server.stop(1)
    await cell.close()
    await analytics.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(pool.close(), 2)
    if waiting not in done:
        failed = next((result for result in results if isinstance(result, Exception)), None)
        raise SystemExit(f"the cell ended by itself: {type(failed).__name__}: {failed}")


async def _recover(cell: Cell, placements: Placements, recovered: asyncio.Event) -> None:
    """Mark the answers that a killed process left unfinished; tries until it worked."""
    while placements.reason is not None:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    while True:
        try:
            count = await cell.conversation.runs.recover(placements.all(suspended=True))
        except Exception as error:
            log.warning("unfinished answers cannot be looked at yet", error=str(error)[:300])
            await asyncio.sleep(0.5)
            continue
        if count:
            log.warning("marked unfinished answers of a dead process as failed", count=count)
        recovered.set()
        return
