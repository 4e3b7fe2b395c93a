"""Clients that pause between requests, as people do; ``wrk`` cannot."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence


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
                writer.write(_request(path, headers, body))
                await _answer(reader)
                times.append(time.perf_counter() - due)
                due += every
        finally:
            writer.close()
        return times

    runs = (client(number, phases.uniform(0, every)) for number in range(clients))
    return [value for times in await asyncio.gather(*runs) for value in times]


def _request(path: str, headers: Mapping[str, str], body: str) -> bytes:
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next((line for line in head.split("\r\n") if line.startswith("content-length:")), None)
    assert length, f"an answer without a length: {head[:500]}"
    body = await reader.readexactly(int(length.partition(":")[2]))
    assert head.startswith("http/1.1 2"), f"{head[:100]} {body[:300]!r}"
