"""Assembles the analytics process."""

from __future__ import annotations

import asyncio
import signal

import asyncpg
import grpc.aio
from voicehelper_core.auth import TokenVerifier
from voicehelper_core.gen.analytics.v1 import usage_pb2_grpc
from voicehelper_core.grpc_health import HealthServicer
from voicehelper_core.grpc_service import OPTIONS, ContextInterceptor
from voicehelper_core.http import create_app, serve_http
from voicehelper_core.log import get_logger

from voicehelper_analytics.api.grpc import CALLERS, SERVICE, UsageServicer, admit
from voicehelper_analytics.settings import AnalyticsSettings
from voicehelper_analytics.sink.service import Sink
from voicehelper_analytics.warehouse import Warehouse

log = get_logger(__name__)


async def serve(settings: AnalyticsSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    warehouse = Warehouse(settings.clickhouse_path)
    await warehouse.open()
    pool = await asyncpg.create_pool(settings.postgres_dsn, min_size=0, max_size=3, command_timeout=30)
    sink = Sink(settings, pool, warehouse)

    async def ready() -> str | None:
        return "the process is stopping" if stop.is_set() else sink.reason

    verifier = TokenVerifier(settings.jwks_url, cache_file=settings.jwks_cache_file)
    server = grpc.aio.server(interceptors=[ContextInterceptor(verifier, admit, CALLERS)], options=OPTIONS)
    usage_pb2_grpc.add_UsageServiceServicer_to_server(UsageServicer(warehouse), server)
    HealthServicer(ready, [SERVICE]).add_to(server)
    server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
    await server.start()

    app = create_app("analytics", version=settings.service_version)
    app.state.ready = ready
    http = serve_http(app, settings.http_host, settings.http_port)
    tasks = [asyncio.create_task(sink.run(), name="sink"), asyncio.create_task(http.serve(), name="http")]
    waiting = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    http.should_exit = True
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await server.stop(1)
    await pool.close()
    await warehouse.close()
    if waiting not in done:
        failed = next((r for r in results if isinstance(r, Exception)), None)
        raise SystemExit(f"analytics ended by itself: {failed}")
