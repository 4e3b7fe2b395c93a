"""Assembles the inference process."""

from __future__ import annotations

import asyncio
import signal

import grpc.aio
from voicehelper_core.gen.inference.v1 import inference_pb2_grpc
from voicehelper_core.grpc_health import HealthServicer, Ready
from voicehelper_core.grpc_service import ErrorInterceptor
from voicehelper_core.http import create_app, serve_http
from voicehelper_core.log import get_logger

from voicehelper_cell.inference.batching import Batcher
from voicehelper_cell.inference.embedder import Embedder
from voicehelper_cell.inference.grpc import InferenceServicer
from voicehelper_cell.inference.settings import InferenceSettings

log = get_logger(__name__)
MESSAGE_BYTES = 32 * 2**20


async def _loaded() -> str | None:
    return None  # the gRPC server is there only once the model is


async def start(settings: InferenceSettings, ready: Ready = _loaded) -> tuple[grpc.aio.Server, Batcher]:
    """A running gRPC server (port 0: any) and its batcher."""
    model = await asyncio.to_thread(Embedder.load, settings.model_dir)
    batcher = Batcher(
        model,
        threads=settings.inference_threads,
        batch_texts=settings.inference_batch_texts,
        batch_tokens=settings.inference_batch_tokens,
    )
    await batcher.start()
    await batcher.embed(["warm up"])
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor()],
        options=[("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.so_reuseport", 0)],
    )
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(InferenceServicer(batcher), server)
    HealthServicer(ready, ["inference.v1.InferenceService"]).add_to(server)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
    await server.start()
    return server, batcher


async def serve(settings: InferenceSettings) -> None:
    """Run until SIGTERM or SIGINT. Health answers while the model still loads; ready comes after."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loaded = False

    async def ready() -> str | None:
        return "the process is stopping" if stop.is_set() else None if loaded else "the model is being loaded"

    app = create_app("inference", version=settings.service_version)
    app.state.ready = ready
    http = serve_http(app, settings.http_host, settings.http_port)
    serving = asyncio.create_task(http.serve(), name="http")
    server, batcher = await start(settings, ready)
    loaded = True
    log.info("ready", grpc_port=settings.grpc_port)
    waiting = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    http.should_exit = True
    await server.stop(2)
    await batcher.stop()
    await asyncio.gather(serving, return_exceptions=True)
    if not stop.is_set():
        raise SystemExit("inference ended by itself: its HTTP server stopped")
