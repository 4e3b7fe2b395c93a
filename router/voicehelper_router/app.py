"""Assembles the control plane's process."""

from __future__ import annotations

import asyncio
import signal

from voicehelper_core import resources
from voicehelper_core.http import serve_http
from voicehelper_core.log import get_logger

from voicehelper_router import web
from voicehelper_router.hold import activity
from voicehelper_router.hold import http as cells
from voicehelper_router.hold.servicer import HoldServicer
from voicehelper_router.hold.waiting import Waiting
from voicehelper_router.jwks import KeyCopy
from voicehelper_router.settings import RouterSettings
from voicehelper_router.xds import persist
from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.delta import DeltaServicer
from voicehelper_router.xds.server import create_server
from voicehelper_router.xds.store import follow, probe

log = get_logger(__name__)


def restored(settings: RouterSettings) -> Cache:
    """A cache with what was last known, if anything was."""
    cache = Cache()
    saved = persist.load(settings.snapshot_file)
    if saved is not None:
        cache.mark(
            f"resources were not read yet: serving the snapshot of {saved.saved_at.isoformat(timespec='seconds')}"
        )
        cache.load(saved.tenants, saved.cells)
    return cache


async def serve(settings: RouterSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cache = restored(settings)
    keys = KeyCopy(settings.jwks_source_url, settings.jwks_file)
    keys.restore()
    async with resources.opened(settings.resources, settings.postgres_dsn, settings.kubeconfig) as opened:
        await _serve(settings, opened, cache, keys, stop)


async def _serve(
    settings: RouterSettings, opened: resources.Opened, cache: Cache, keys: KeyCopy, stop: asyncio.Event
) -> None:
    servicer = DeltaServicer(cache)
    holds = Waiting(
        cache, servicer, seconds=settings.hold_seconds, per_tenant=settings.holds_per_tenant, total=settings.holds
    )
    server, _ = create_server(servicer, HoldServicer(holds), settings.xds_host, settings.xds_port, settings.xds_socket)
    await server.start()
    admin = activity.client(settings.admin_socket, settings.admin_host, settings.admin_port)
    use = cells.create(cache, holds, activity.Activity(admin, settings.activity_seconds))
    http = serve_http(web.create(settings.service_version, cache, keys, use), settings.http_host, settings.http_port)
    serving = asyncio.create_task(http.serve(), name="http")
    tasks = [
        asyncio.create_task(holds.run(), name="holds"),
        asyncio.create_task(follow(opened.store, cache, settings.store_retry_seconds), name="follow"),
        asyncio.create_task(probe(opened.ask, cache, 2.0), name="probe"),
        asyncio.create_task(persist.keep(settings.snapshot_file, cache, settings.snapshot_delay_seconds), name="keep"),
        asyncio.create_task(keys.run(settings.jwks_refresh_seconds), name="jwks"),
    ]
    waiting = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait([serving, *tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    by_itself = not stop.is_set()
    waiting.cancel()
    http.should_exit = True
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(serving, *tasks, return_exceptions=True)
    await server.stop(0.5)
    if admin:
        await admin.aclose()
    if by_itself:
        failed = next((result for result in results if isinstance(result, Exception)), None)
        raise SystemExit(f"xds ended by itself: {failed}")
