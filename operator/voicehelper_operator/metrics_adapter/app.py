"""Assembles the adapter's process."""

from __future__ import annotations

import asyncio
import signal

from voicehelper_core.errors import AppError
from voicehelper_core.http import create_app, serve_http
from voicehelper_core.kubernetes_api import connect
from voicehelper_core.log import get_logger

from voicehelper_operator.metrics_adapter import trust
from voicehelper_operator.metrics_adapter.access import Access
from voicehelper_operator.metrics_adapter.api import CustomMetrics
from voicehelper_operator.metrics_adapter.keeper import Keeper
from voicehelper_operator.metrics_adapter.scraper import Scraper
from voicehelper_operator.metrics_adapter.server import TlsServer
from voicehelper_operator.metrics_adapter.settings import MetricsAdapterSettings
from voicehelper_operator.metrics_adapter.targets import Targets

log = get_logger(__name__)
_STOP_SECONDS, _RETRY_SECONDS = 10, 2.0


async def serve(settings: MetricsAdapterSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises SystemExit when something ended by itself."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api = await connect(settings.kubeconfig)
    targets = Targets()
    scraper = Scraper(settings, targets)
    custom = CustomMetrics(targets, scraper, Access(api))
    server = TlsServer(custom.asgi(), settings.https_host, settings.https_port)
    web = create_app("metrics-adapter", version=settings.service_version)

    async def ready() -> str | None:
        if custom.trust is None:
            return "there is no certificate yet"
        return None if targets.synced else "the pods have not been listed yet"

    web.state.ready = ready
    http = serve_http(web, settings.http_host, settings.http_port)
    jobs = {
        "http": http.serve(),
        "targets": targets.run(api),
        "scraper": scraper.run(),
        "certificates": _certificates(Keeper(api, settings), custom, server, settings.check_seconds),
    }
    tasks = [asyncio.create_task(job, name=name) for name, job in jobs.items()]
    waiting = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    asked = stop.is_set()
    await server.close()
    http.should_exit = True
    await asyncio.wait(tasks[:1], timeout=_STOP_SECONDS)
    for task in (*tasks, waiting):
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await api.close()
    if not asked:
        failed = next((result for result in results if isinstance(result, Exception)), None)
        raise SystemExit(f"the adapter ended by itself: {type(failed).__name__}: {failed}")


async def _certificates(keeper: Keeper, custom: CustomMetrics, server: TlsServer, seconds: float) -> None:
    """Serve with what holds now; what was is kept while the API server does not answer."""
    used = None
    while True:
        try:
            believed = await trust.fetch(keeper.api)
            pair = await keeper.current()
        except (AppError, ValueError) as error:
            log.warning("the certificates cannot be looked at", error=str(error)[:300])
            await asyncio.sleep(seconds if used else _RETRY_SECONDS)
            continue
        if used != (pair, believed.authorities):
            await server.use(pair, believed.authorities)
            used = pair, believed.authorities
            log.info("serving", port=server.port)
        custom.trust = believed
        await asyncio.sleep(seconds)
