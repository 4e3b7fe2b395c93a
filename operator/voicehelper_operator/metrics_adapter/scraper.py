"""Reads the pods' metrics, round after round."""

from __future__ import annotations

import asyncio
import time

import aiohttp
from voicehelper_core.log import get_logger

from voicehelper_operator.metrics_adapter import metrics
from voicehelper_operator.metrics_adapter.exposition import Reading, read
from voicehelper_operator.metrics_adapter.rates import Rate, Rates
from voicehelper_operator.metrics_adapter.settings import MetricsAdapterSettings
from voicehelper_operator.metrics_adapter.targets import Target, Targets

log = get_logger(__name__)
_MOST_BYTES = 4 * 2**20
"""Of one answer: a pod is not trusted to be brief."""
_STALE_ROUNDS = 3


class Scraper:
    """A pod that does not answer is left out; an autoscaler knows what to make of that."""

    def __init__(self, settings: MetricsAdapterSettings, targets: Targets) -> None:
        self._settings, self._targets = settings, targets
        self._rates = Rates(settings.window_seconds, _STALE_ROUNDS * settings.scrape_seconds)
        self._slots = asyncio.Semaphore(settings.scrape_concurrency)

    def rate(self, target: Target) -> Rate | None:
        """What is known of a pod now."""
        return self._rates.of(target.uid, time.monotonic())

    async def run(self) -> None:
        """For ever."""
        connector = aiohttp.TCPConnector(limit=0)  # the slots limit it; a connection a pod is kept open
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            while True:
                started = time.monotonic()
                await self.round(session)
                took = time.monotonic() - started
                metrics.ROUND_SECONDS.observe(took)
                await asyncio.sleep(max(0.0, self._settings.scrape_seconds - took))

    async def round(self, session: aiohttp.ClientSession) -> None:
        """One look at all pods."""
        targets = self._targets.all()
        metrics.TARGETS.set(len(targets))
        self._rates.keep([target.uid for target in targets])
        await asyncio.gather(*(self._scrape(session, target) for target in targets))

    async def _scrape(self, session: aiohttp.ClientSession, target: Target) -> None:
        async with self._slots:
            try:
                reading = await self._read(session, target.address)
            except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
                metrics.SCRAPES.labels("failed").inc()
                log.debug("a pod cannot be read", pod=target.name, error=f"{type(error).__name__}: {error}"[:200])
                return
        metrics.SCRAPES.labels("read").inc()
        self._rates.take(target.uid, reading, time.monotonic())

    async def _read(self, session: aiohttp.ClientSession, address: str) -> Reading:
        """Raises ValueError for what is not to be read. Redirects are not followed: they could lead anywhere."""
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{self._settings.pod_port}/metrics"
        timeout = aiohttp.ClientTimeout(total=self._settings.scrape_timeout_seconds)
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ValueError("the answer is too long")
        return read(body.decode())
