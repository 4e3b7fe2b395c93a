"""The slow network of the router's benchmark."""

from __future__ import annotations

import asyncio
import contextlib

from voicehelper_bench.router.delay import delayed


async def test_what_is_sent_arrives_late_and_whole() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, delayed(server.sockets[0].getsockname()[1], 0.1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = asyncio.get_running_loop().time()
        sent = bytes(range(256)) * 1000
        writer.write(sent)
        assert await asyncio.wait_for(reader.readexactly(len(sent)), 10) == sent
        assert asyncio.get_running_loop().time() - began >= 0.2  # the delay itself, not a speed
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()
