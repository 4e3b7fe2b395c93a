"""A slow network between Envoy and its control plane: passes bytes on, each ``seconds`` later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(due - loop.time(), 0))
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    writing = asyncio.create_task(write())
    try:
        data = b"-"
        while data:
            data = await reader.read(65536)
            waiting.put_nowait((loop.time() + seconds, data))
        await writing
    finally:
        writing.cancel()


@contextlib.asynccontextmanager
async def delayed(port: int, seconds: float) -> AsyncIterator[int]:
    """The port of a proxy before ``port``; both directions wait, so a round trip takes twice as long."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(onward_writer), contextlib.suppress(ConnectionError):
                await asyncio.gather(_pass_on(reader, onward_writer, seconds), _pass_on(onward_reader, writer, seconds))
        finally:
            writer.close()
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in [*connections]:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
