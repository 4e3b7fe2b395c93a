"""Reading pods over HTTP."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web

from voicehelper_operator.metrics_adapter.scraper import Scraper
from voicehelper_operator.metrics_adapter.settings import MetricsAdapterSettings
from voicehelper_operator.metrics_adapter.targets import Target


class Pods:
    """Answers as each of many pods; the address of all is the same, so the answer is the same, too."""

    def __init__(self):
        self.total, self.status, self.body, self.asked, self.at_once, self.most = 0, 200, None, 0, 0, 0
        self.seconds = 0.01

    async def metrics(self, request):
        self.asked += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        text = self.body or f'http_requests_total{{route="/a"}} {self.total}\n'
        return web.Response(text=text, status=self.status, headers={"Location": "/elsewhere"})


class Several:
    def __init__(self, number):
        self.found = [Target(f"u{place}", "cell-a", f"web-{place}", {}, "127.0.0.1") for place in range(number)]

    def all(self):
        return self.found


@pytest.fixture
async def pods():
    pods, app = Pods(), web.Application()
    app.router.add_get("/metrics", pods.metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    pods.port = runner.addresses[0][1]
    yield pods
    await runner.cleanup()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


def scraper(pods, targets, **settings):
    return Scraper(MetricsAdapterSettings(pod_port=pods.port, **settings), targets)


async def test_hundreds_of_pods_some_at_once(pods, session):
    targets = Several(200)
    reading = scraper(pods, targets, scrape_concurrency=16)
    started = time.monotonic()
    await reading.round(session)
    assert reading.rate(targets.found[0]) is None
    pods.total = 500
    await reading.round(session)
    assert pods.asked == 400
    assert 1 < pods.most <= 16
    elapsed = time.monotonic() - started
    rates = [reading.rate(target).per_second for target in targets.found]
    assert min(rates) > 500 / elapsed


@pytest.mark.parametrize("trouble", ["status", "redirect", "rubbish", "long", "hangs", "away"])
async def test_a_pod_that_cannot_be_read_is_left_out(pods, session, trouble):
    targets = Several(1)
    reading = scraper(pods, targets, scrape_timeout_seconds=0.5)
    match trouble:
        case "status":
            pods.status = 500
        case "redirect":
            pods.status = 302
        case "rubbish":
            pods.body = 'http_requests_total{route="/a"} NaN\n'
        case "long":
            pods.body = "#" * 2**20 * 5
        case "hangs":
            pods.seconds = 2
        case "away":
            reading = scraper(type("Nobody", (), {"port": 1}), targets)
    for _ in range(2):
        await reading.round(session)
    assert reading.rate(targets.found[0]) is None
