"""The rounds of the benchmark ``cdc``."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from voicehelper_core import names
from voicehelper_embedded.components.connect import CONNECTOR
from voicehelper_embedded.throwaway import Platform, throwaway

from voicehelper_bench import site
from voicehelper_bench.cdc import writer
from voicehelper_bench.cdc.connectors import Connectors
from voicehelper_bench.cdc.readers import Topic, Usage, together
from voicehelper_bench.cdc.writer import Load
from voicehelper_bench.figures import Report, median, quantile

TENANT = "acme"
TOPIC = "conversation.events"
RATES = {10: 1, 100: 1, 1000: 10}
"""Messages a second, and how many of them a transaction has."""
_PARTS = ("postgres", "connect", "kafka", "analytics")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    seconds: float
    idle_seconds: float
    sustained: int
    """Messages written as fast as they go."""
    backlog: int
    """Messages that ten minutes at 100 a second write."""


def run(report: Report, *, quick: bool) -> None:
    """Measure on a platform of its own (or that of ``VOICEHELPER_TEST_HOME``)."""
    scale = Scale(1, 5, 5, 3000, 5000) if quick else Scale(3, 20, 20, 40_000, 60_000)
    with throwaway("voicehelper-bench") as platform, writer.process() as pool:
        asyncio.run(_Bench(report, platform, pool, scale).run())


class _Bench:
    def __init__(self, report: Report, platform: Platform, pool: ProcessPoolExecutor, scale: Scale) -> None:
        self._report, self._platform, self._pool, self._scale = report, platform, pool, scale
        self._place = site.Place.of(platform, TENANT)
        self._topic = names.topic(self._place.cell_id, TOPIC)
        self._partitions = names.TOPICS[TOPIC]
        self._connectors = Connectors(platform)
        self._usage = Usage(platform, TENANT)

    async def run(self) -> None:
        try:
            await self._write(Load(20, 40))  # imports, connections, caches
            async with self._connectors.peer(self._topic, self._partitions) as copy:
                await self._warm_up(copy)
                await self._idle()
                for rate, batch in RATES.items():
                    await self._latency(copy, rate, batch)
            await self._sustained()
            await self._catch_up()
        finally:
            await self._usage.close()
            await self._connectors.close()

    async def _write(self, load: Load) -> writer.Commits:
        return await writer.begin(self._pool, self._place, load)

    async def _warm_up(self, copy: str) -> None:
        """The peer's first events make topics, and wait for them: that is no polling."""
        await self._connectors.resume(self._connectors.peer_name)
        async with Topic(self._platform, copy, self._partitions) as topic:
            await topic.latencies(await self._write(Load(20, 40)))
        await self._connectors.pause(self._connectors.peer_name)

    async def _idle(self) -> None:
        """CPU while nothing is written: our polling, then the default, each alone."""
        ours, default = [], []
        processes = site.pids(self._platform)
        for _ in range(self._scale.rounds):
            ours.append(await self._cost(processes))
            await self._connectors.pause(CONNECTOR)
            await self._connectors.resume(self._connectors.peer_name)
            await self._connectors.running(self._connectors.peer_name)
            default.append(await self._cost(processes))
            await self._connectors.pause(self._connectors.peer_name)
            await self._connectors.resume(CONNECTOR)
            await self._connectors.running(CONNECTOR)
        for part in ("connect", "postgres", "analytics"):
            value, other = median([item[part] for item in ours]), median([item[part] for item in default])
            self._report.add(
                f"idle.{part}.cpu", value, "% of a core", peer="debezium polling at 500 ms",
                ratio=value / other if other else None, runs=self._scale.rounds,
            )  # fmt: skip

    async def _cost(self, processes: dict[str, int]) -> dict[str, float]:
        """Per cent of a core by process."""
        before, started = site.cpu_seconds(processes, _PARTS), time.monotonic()
        await asyncio.sleep(self._scale.idle_seconds)
        seconds = time.monotonic() - started
        return {name: 100 * value / seconds for name, value in site.spent(before, site.cpu_seconds(processes)).items()}

    async def _latency(self, copy: str, rate: int, batch: int) -> None:
        """Rounds of ours alone, of ours with somebody who asks the API all the time, and with the peer."""
        kafka, default, queryable, costs = [], [], [], []
        load = Load(rate, max(20, int(rate * self._scale.seconds)), batch)
        processes = site.pids(self._platform)
        for _ in range(self._scale.rounds):
            before = site.cpu_seconds(processes, _PARTS)
            async with Topic(self._platform, self._topic, self._partitions) as topic:
                kafka.append(await topic.latencies(await self._write(load)))
            costs.append(site.spent(before, site.cpu_seconds(processes)))
            async with self._usage as usage:
                queryable.append(await usage.latencies(await self._write(load)))
            await self._connectors.resume(self._connectors.peer_name)
            await self._connectors.running(self._connectors.peer_name)
            async with Topic(self._platform, copy, self._partitions) as topic:
                default.append(await topic.latencies(await self._write(load)))
            await self._connectors.pause(self._connectors.peer_name)
        runs = self._scale.rounds
        for q in (0.5, 0.95, 0.99):
            ours, theirs = quantile(together(kafka), q) * 1e3, quantile(together(default), q) * 1e3
            self._report.add(
                f"kafka.{rate}.p{q * 100:g}", ours, "ms", peer="debezium polling at 500 ms", ratio=ours / theirs,
                runs=runs,
            )  # fmt: skip
        for q in (0.5, 0.95, 0.99):
            self._report.add(f"queryable.{rate}.p{q * 100:g}", quantile(together(queryable), q) * 1e3, "ms", runs=runs)
        for part in _PARTS:
            value = median([item[part] for item in costs]) / load.total * 1e3
            self._report.add(f"cost.{rate}.{part}.cpu", value, "ms a message", runs=runs)

    async def _sustained(self) -> None:
        """As fast as one client writes; how far behind the usage API is when it stops."""
        load = Load(0, self._scale.sustained, 20)
        async with self._usage as usage:
            base = await usage.count()
            started = time.monotonic()
            commits = await self._write(load)
            last = max(moment for _, moment in commits)
            level = await usage.reach(base + load.total)
        self._report.add("sustained.written", load.total / (last - started), "rows/s")
        self._report.add("sustained.queryable", load.total / (level - started), "rows/s", peer="written",
                         ratio=(last - started) / (level - started))  # fmt: skip
        self._report.add("sustained.lag", max(0.0, level - last), "s")

    async def _catch_up(self) -> None:
        """The connector is away while ten minutes' worth of messages is written."""
        load = Load(0, self._scale.backlog, 100)
        await self._connectors.pause(CONNECTOR)
        async with self._usage as usage:
            base = await usage.count()
            commits = await self._write(load)
            async with Topic(self._platform, self._topic, self._partitions) as topic:
                started = time.monotonic()
                await self._connectors.resume(CONNECTOR)
                await topic.latencies(commits)
                kafka = max(topic.seen[event] for event, _ in commits) - started
                level = await usage.reach(base + load.total) - started
        self._report.note(f"{load.total} messages are what ten minutes at {load.total / 600:.0f} a second write")
        self._report.add("catchup.kafka", kafka, "s")
        self._report.add("catchup.queryable", level, "s")
        self._report.add("catchup.rate", load.total / level, "rows/s")
