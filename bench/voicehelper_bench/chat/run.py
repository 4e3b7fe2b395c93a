"""The rounds of the benchmark ``chat``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
from voicehelper_embedded.throwaway import Platform, throwaway

from voicehelper_bench import preflight, site
from voicehelper_bench.chat import paced, wrk
from voicehelper_bench.chat.bare import bare
from voicehelper_bench.chat.provider import HOLD, MODEL, provider
from voicehelper_bench.chat.streams import Stream, first_bytes
from voicehelper_bench.figures import Report, median, quantile
from voicehelper_bench.interleave import interleaved, paired_ratio

CONVERSATIONS = "/api/v1/conversations"
PEER = "bare uvicorn, direct"
_PARTS = ("router", "postgres", "connect", "kafka", "analytics", "inference")
_PAUSE_SECONDS = {"create": 1.0, "list": 1.0, "send": 5.0}
_QUESTION = "How long are backups of a dedicated cell kept?"
_PLAN = """
apiVersion: voicehelper.io/v1alpha1
kind: TenantPlan
metadata: {name: bench-chat}
spec: {displayName: Bench, isolation: shared, allowedModels: ["*"]}
---
apiVersion: voicehelper.io/v1alpha1
kind: Tenant
metadata: {name: bench-chat}
spec:
  planRef: bench-chat
  admin: {email: admin@bench.example}
  deletion: {policy: Delete}
"""
TENANT = "bench-chat"
_RESTART_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured; ``streams`` follow one answer, ``answers`` are in the making at once, ``paced`` requests
    come from each client that pauses.

    All of them are opened and heard again within the two minutes that a cell gives an answer.
    """

    rounds: int
    seconds: float
    clients: tuple[int, ...]
    firsts: int
    streams: int
    answers: int
    paced: int


def run(report: Report, *, quick: bool) -> None:
    """Measure on a platform of its own (or that of ``VOICEHELPER_TEST_HOME``)."""
    preflight.provide(report.note)
    scale = Scale(1, 3, (1, 16), 20, 200, 20, 2) if quick else Scale(5, 6, (1, 16, 64), 200, 1000, 100, 10)
    with (
        throwaway("voicehelper-bench") as platform,
        provider() as (url, provider_pid),
        bare() as (peer, _),
        _configured(platform, url),
    ):
        _Bench(report, platform, scale, peer, provider_pid).run()


@contextmanager
def _configured(platform: Platform, url: str) -> Iterator[None]:
    """Cells that ask the provider, and a tenant without a quota."""
    settings = platform.home / "settings.json"
    before = settings.read_text() if settings.exists() else None
    settings.touch(0o600)
    settings.write_text(json.dumps({"cells": {"model_base_url": url, "model_name": MODEL}}))
    try:
        platform.cli("up", "--no-demo", timeout=300)
        platform.cli("apply", "-f", "-", stdin=_PLAN)
        platform.cli("wait", f"tenant/{TENANT}", "--for", "condition=Ready", "--timeout", "120s")
        yield
    finally:
        platform.cli("delete", "tenant", TENANT, check=False)
        if before is None:
            settings.unlink()
        else:
            settings.write_text(before)
        platform.cli("up", "--no-demo", check=False, timeout=300)


def _await_provider(client: httpx.Client, path: str) -> None:
    """Until the cell was started again with the settings of this run. Raises AssertionError after a while."""
    answer = None
    for _ in range(_RESTART_SECONDS):
        answer = client.post(path, json={"content": _QUESTION})
        if answer.status_code == 200 and answer.json()["model"] == MODEL:
            return
        time.sleep(1)
    raise AssertionError(f"the cell does not ask the provider: {answer.text if answer else ''}")


class _Bench:
    def __init__(self, report: Report, platform: Platform, scale: Scale, peer: str, provider_pid: int) -> None:
        self._report, self._platform, self._scale, self._peer = report, platform, scale, peer
        self._place = site.Place.of(platform, TENANT)
        self._headers = self._fresh()
        with platform.client(TENANT) as client:
            titles = [f"Bench {number}" for number in range(257 + scale.answers)]
            made = [client.post(CONVERSATIONS, json={"title": title}).json()["id"] for title in titles]
            paths = [f"{CONVERSATIONS}/{identifier}/messages" for identifier in made]
            self._paths, self._held_paths = paths[:256], paths[256:]  # an answer goes on when nobody listens any more
            _await_provider(client, self._paths[0])
        self._processes = {**site.pids(platform), "provider": provider_pid}

    def _fresh(self) -> dict[str, str]:
        """Headers whose token outlives a part of the benchmark; none outlives all of it."""
        return {**self._platform.headers(TENANT), "Content-Type": "application/json"}

    def run(self) -> None:
        asyncio.run(self._first_byte())
        asyncio.run(self._streams())  # before the load, whose memory they would use again
        calls = {
            "create": ([CONVERSATIONS], json.dumps({"title": "Bench"})),
            "list": ([f"{CONVERSATIONS}?limit=20"], ""),
            "send": (self._paths, json.dumps({"content": _QUESTION})),
        }
        for call, (paths, body) in calls.items():
            asyncio.run(self._paced(call, paths, body))
        for clients in self._scale.clients:
            for call, (paths, body) in calls.items():
                self._load(call, paths, clients, body)

    async def _paced(self, call: str, paths: list[str], body: str) -> None:
        """The most clients of this run, which pause as people do."""
        self._headers = self._fresh()
        clients, every = self._scale.clients[-1], _PAUSE_SECONDS[call]
        times = await paced.run(
            self._platform.ports["router"], paths, self._headers,
            clients=clients, every=every, seconds=every * self._scale.paced, body=body,
        )  # fmt: skip
        self._times(f"{call}.{clients}.paced", times, (0.5, 0.95, 0.99))

    def _load(self, call: str, paths: list[str], clients: int, body: str) -> None:
        """Ours through the router, in turn with the bare server."""
        self._headers = self._fresh()

        def ours() -> tuple[wrk.Result, dict[str, float]]:
            before = site.cpu_seconds(self._processes)
            result = wrk.run(
                self._platform.router, paths, self._headers, clients=clients, seconds=self._scale.seconds, body=body
            )
            return result, site.spent(before, site.cpu_seconds(self._processes))

        def peer() -> tuple[wrk.Result, dict[str, float]]:
            found = wrk.run(self._peer, paths, self._headers, clients=clients, seconds=self._scale.seconds, body=body)
            return found, {}

        for url in (self._platform.router, self._peer):  # connections, statements, caches
            wrk.run(url, paths, self._headers, clients=clients, seconds=2, body=body)
        taken = interleaved({"ours": ours, "peer": peer}, self._scale.rounds)
        results, bares = [item[0] for item in taken["ours"]], [item[0] for item in taken["peer"]]
        if failed := sum(item.failed for item in results):
            raise AssertionError(f"{failed} of {sum(item.requests for item in results)} requests failed")
        name, runs = f"{call}.{clients}", self._scale.rounds
        for q in ("p50", "p95", "p99"):
            values, others = [getattr(item, q) for item in results], [getattr(item, q) for item in bares]
            self._report.add(
                f"{name}.{q}", median(values), "ms", peer=PEER, ratio=paired_ratio(values, others), runs=runs
            )
        rates, others = [item.rate for item in results], [item.rate for item in bares]
        self._report.add(
            f"{name}.rate", median(rates), "req/s", peer=PEER, ratio=paired_ratio(rates, others), runs=runs
        )
        requests = sum(item.requests for item in results)
        costs = {"client": sum(item.client_seconds for item in results)}
        for part in (self._place.process, *_PARTS, "provider"):
            costs["cell" if part == self._place.process else part] = sum(item[1].get(part, 0) for item in taken["ours"])
        for part, seconds in costs.items():
            self._report.add(f"{name}.cpu.{part}", 1e3 * seconds / requests, "ms a request", runs=runs)

    async def _first_byte(self) -> None:
        port = self._platform.ports["router"]
        for clients, name in ((1, "sse.first_byte"), (16, "sse.first_byte.16")):
            each = max(3, self._scale.firsts // clients)
            times = await first_bytes(port, self._paths, self._headers, _QUESTION, clients=clients, each=each)
            self._times(name, times, (0.5, 0.95))

    def _times(self, name: str, seconds: list[float], quantiles: tuple[float, ...]) -> None:
        for q in quantiles:
            self._report.add(f"{name}.p{q * 100:g}", quantile(seconds, q) * 1e3, "ms", runs=len(seconds))

    async def _streams(self) -> None:
        """Memory of streams that wait: of listeners of one answer, and of answers in the making."""
        first = await self._held(0)
        with self._platform.client(TENANT) as client:
            found = client.get(self._held_paths[0]).json()["items"]
        answer = next(item["id"] for item in reversed(found) if item["role"] == "assistant")
        path = f"{self._held_paths[0]}/{answer}/events"
        opened = [first]
        try:
            await self._grown("listener", self._scale.streams, opened, lambda _: self._listen(path))
            await self._grown("answer", self._scale.answers, opened, lambda number: self._held(1 + number))
            # The cell still answers, and every stream still lives, when its next heartbeat comes.
            times = await first_bytes(
                self._platform.ports["router"], self._paths[-8:], self._headers, _QUESTION, clients=1, each=10
            )
            self._report.add("streams.held.first_byte.p50", median(times) * 1e3, "ms", runs=len(times))
            before = site.cpu_seconds(self._processes)
            await asyncio.gather(*(stream.until(b": still here", 60) for stream in opened[1:]))
            spent = site.spent(before, site.cpu_seconds(self._processes))
            self._report.add(
                "streams.held.heartbeat.cpu", 1e3 * spent[self._place.process] / len(opened), "ms a stream of the cell"
            )
        finally:
            await asyncio.gather(*(stream.close() for stream in opened))

    async def _grown(self, kind: str, count: int, opened: list[Stream], make: object) -> None:
        names = (self._place.process, "router")
        before = {name: psutil.Process(self._processes[name]).memory_info().rss for name in names}
        for start in range(0, count, 20):
            numbers = range(start, min(count, start + 20))
            opened += await asyncio.gather(*(make(number) for number in numbers))  # type: ignore[operator]
        grown = {name: psutil.Process(self._processes[name]).memory_info().rss - before[name] for name in names}
        for name, label in zip(names, ("cell", "router"), strict=True):
            self._report.add(f"streams.{kind}.{label}", grown[name] / count / 1024, "KiB a stream", runs=count)
        self._report.add(f"streams.{kind}.per_gib", 2**30 * count / max(1, sum(grown.values())), "streams", runs=count)

    async def _held(self, number: int) -> Stream:
        path = self._held_paths[number]
        body = json.dumps({"content": f"{HOLD} {number}"})
        stream = await Stream.open(self._platform.ports["router"], "POST", path, self._headers, body)
        await stream.until(b"event: delta")
        return stream

    async def _listen(self, path: str) -> Stream:
        stream = await Stream.open(self._platform.ports["router"], "GET", path, self._headers)
        await stream.until(b"event: delta")
        return stream
