"""Clients that pause between requests, as people do; ``wrk`` cannot."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence

from voicehelper_bench import wire


async def run(
    port: int,
    paths: Sequence[str],
    headers: Mapping[str, str],
    *,
    clients: int,
    every: float,
    seconds: float,
    body: str = "",
) -> list[float]:
    """Seconds of every request: each client sends one each ``every`` seconds, all at moments of their own.

    The clock starts when the request was due, so an answer that comes late counts for those that wait behind it.
    Raises AssertionError for a status that is not a success.
    """
    phases = random.Random(1)
    begin = time.perf_counter() + 0.2

    async def client(number: int, phase: float) -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        times: list[float] = []
        due = begin + phase
        try:
            while due < begin + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                path = paths[(number + len(times) * clients) % len(paths)]
                writer.write(wire.request("POST" if body else "GET", path, headers, body))
                status, answer = await wire.answer(reader)
                assert 200 <= status < 300, f"{status} {answer[:300]!r}"
                times.append(time.perf_counter() - due)
                due += every
        finally:
            writer.close()
        return times

    runs = (client(number, phases.uniform(0, every)) for number in range(clients))
    return [value for times in await asyncio.gather(*runs) for value in times]
