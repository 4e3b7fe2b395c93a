"""The life of a process: starts everything, is ready or says why not, and ends in an order that loses nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from voicehelper_core.http import serve_http

from voicehelper_cell.parts import Part
from voicehelper_cell.resources import Resources


class Readiness:
    """Asked by ``/readyz`` and ``grpc.health.v1`` alike."""

    def __init__(self, resources: Resources, parts: Mapping[str, Part]) -> None:
        self._placements, self._parts = resources.placements, parts.values()
        self.stopping = False

    async def __call__(self) -> str | None:
        """None when ready, else the reason why not."""
        if self.stopping:
            return "the process is stopping"
        reasons = (self._placements.reason, *(part.reason() for part in self._parts))
        return next((reason for reason in reasons if reason), None)


async def run(
    resources: Resources, parts: Mapping[str, Part], *, ready: Readiness, app: FastAPI, servers: Sequence[Any]
) -> None:
    """Until SIGTERM or SIGINT. Raises SystemExit when something ended by itself."""
    settings = resources.settings
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app.state.ready = ready
    for server in servers:
        await server.start()
    http = serve_http(app, settings.http_host, settings.http_port)
    jobs = {"placements": resources.placements.run}
    jobs |= {name: job for part in parts.values() for name, job in part.tasks.items()}
    tasks = [asyncio.create_task(job(), name=name) for name, job in jobs.items()]
    serving = asyncio.create_task(http.serve(), name="http")
    waiting = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait({serving, waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    ready.stopping = True
    http.should_exit = True
    await asyncio.gather(*(part.stop() for part in parts.values()))
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, serving, return_exceptions=True)
    await asyncio.gather(*(server.stop(resources.drain_seconds) for server in servers))
    for part in parts.values():
        await part.close()
    await resources.services.close()
    await resources.close()
    if waiting not in done:
        failed = next((result for result in results if isinstance(result, Exception)), None)
        raise SystemExit(f"the cell ended by itself: {type(failed).__name__}: {failed}")
