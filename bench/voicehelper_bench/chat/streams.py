"""Streams of events, read as they come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

from voicehelper_bench import wire


class Stream:
    """One open stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self._begun = False

    @classmethod
    async def open(cls, port: int, method: str, path: str, headers: Mapping[str, str], body: str = "") -> Stream:
        """Send the request. The answer is not read yet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(wire.request(method, path, {"Accept": "text/event-stream", **headers}, body))
        await writer.drain()
        return cls(reader, writer)

    async def until(self, text: bytes, seconds: float = 60) -> bytes:
        """What comes until it holds ``text``. Raises AssertionError for another status than 200 or at the end."""
        got = b""
        async with asyncio.timeout(seconds):
            while text not in got:
                part = await self.reader.read(65536)
                got += part
                if not part or not (self._begun or got.startswith(b"HTTP/1.1 200"[: len(got)])):
                    raise AssertionError(f"the stream ended or failed: {got[:500].decode(errors='replace')}")
        self._begun = True
        return got

    async def close(self) -> None:
        """Go away, whatever is still to come."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


async def first_bytes(
    port: int, paths: list[str], headers: Mapping[str, str], content: str, *, clients: int, each: int
) -> list[float]:
    """Seconds from sending a message until the first event of its answer, the rest read before the next."""
    body = json.dumps({"content": content})

    async def client(number: int) -> list[float]:
        times = []
        for _ in range(each):
            started = time.perf_counter()
            stream = await Stream.open(port, "POST", paths[number % len(paths)], headers, body)
            got = await stream.until(b"event: message.started")
            times.append(time.perf_counter() - started)
            if b"event: message.completed" not in got:
                rest = b""
                while b"event: message.completed" not in rest:
                    part = await asyncio.wait_for(stream.reader.read(65536), 60)
                    assert part, f"the answer did not end: {rest[-300:]!r}"
                    rest = rest[-64:] + part
            await stream.close()
        return times

    return [value for run in await asyncio.gather(*map(client, range(clients))) for value in run]
