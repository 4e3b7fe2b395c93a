"""When an event could be read: from Kafka, and from the usage API."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from voicehelper_core.kafka import scram
from voicehelper_embedded.throwaway import Platform

from voicehelper_bench.cdc.writer import Commits

POLL_SECONDS = 0.05  # a question costs ClickHouse two queries: asked oftener, it is what is measured
_WAIT_SECONDS = 120.0


class Topic:
    """Reads a topic from its end and notes when each event came; ``seen`` holds event id to moment."""

    def __init__(self, platform: Platform, topic: str, partitions: int) -> None:
        self.seen: dict[str, float] = {}
        self._topic = topic
        self._parts = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer = AIOKafkaConsumer(
            **scram(f"127.0.0.1:{platform.ports['kafka']}", "analytics", platform.secrets["kafka_analytics_password"]),
            enable_auto_commit=False,
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Topic:
        await self._consumer.start()
        self._consumer.assign(self._parts)
        await self._consumer.seek_to_end()
        for part in self._parts:
            await self._consumer.position(part)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def _read(self) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=1000)).values():
                now = time.monotonic()
                for record in records:
                    identifier = next((value for key, value in record.headers if key == "id"), b"")
                    self.seen.setdefault(identifier.decode().strip('"'), now)

    async def latencies(self, commits: Commits) -> list[float]:
        """Seconds from each commit; waits until all have come. Raises AssertionError where one never does."""
        end = time.monotonic() + _WAIT_SECONDS
        while missing := [event for event, _ in commits if event not in self.seen]:
            if time.monotonic() > end:
                raise AssertionError(f"{len(missing)} of {len(commits)} events never came to {self._topic}")
            await asyncio.sleep(0.05)
        return [self.seen[event] - moment for event, moment in commits]


class Usage:
    """Asks the usage API, through the router, how many messages it counts; use it as a context."""

    def __init__(self, platform: Platform, tenant: str) -> None:
        self._platform, self._tenant = platform, tenant
        self._http = httpx.AsyncClient(base_url=platform.router, timeout=30, trust_env=False)
        since = datetime.now(UTC) - timedelta(minutes=1)
        self._query = {"from": since.isoformat(), "to": (since + timedelta(hours=12)).isoformat(), "limit": "1"}
        self._samples: list[tuple[float, int]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Usage:
        self._http.headers.update(self._platform.headers(self._tenant))  # a token ends before the benchmark does
        self._samples = [(time.monotonic(), await self.count())]
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def count(self) -> int:
        """Messages since shortly before this object was made."""
        answer = await self._http.get("/api/v1/usage", params=self._query)
        answer.raise_for_status()
        totals: dict[str, Any] = answer.json()["totals"]
        return int(totals["message_count"])

    async def _watch(self) -> None:
        while True:
            count = await self.count()
            self._samples.append((time.monotonic(), count))
            await asyncio.sleep(POLL_SECONDS)

    async def latencies(self, commits: Commits) -> list[float]:
        """Seconds from the n-th commit until the API counted n more, upper bounds by one poll."""
        first = self._samples[0][1]
        await self.reach(first + len(commits))
        moments = [moment for moment, _ in self._samples]
        counts = [count for _, count in self._samples]
        return [
            moments[bisect.bisect_left(counts, first + number)] - moment
            for number, moment in enumerate(sorted(moment for _, moment in commits), 1)
        ]

    async def reach(self, count: int) -> float:
        """The moment at which the API counted so many. Raises AssertionError when it never does."""
        end = time.monotonic() + _WAIT_SECONDS
        while self._samples[-1][1] < count:
            if self._task is not None and self._task.done():
                self._task.result()
            if time.monotonic() > end:
                raise AssertionError(f"the usage API counts {self._samples[-1][1]} messages, not {count}")
            await asyncio.sleep(0.02)
        return next(moment for moment, seen in self._samples if seen >= count)


def together(runs: Sequence[Sequence[float]]) -> list[float]:
    """The latencies of all runs."""
    return [value for run in runs for value in run]
