"""A relay of TCP connections: what a Service is, and a network that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

from voicehelper_router.tests.harness import free_port


class Relay:
    """Each new connection goes to the next of the ports."""

    def __init__(self) -> None:
        self.port = free_port()
        self._next, self._writers = itertools.count(), set[asyncio.StreamWriter]()

    async def start(self, targets: Sequence[int]) -> None:
        self._targets = targets
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """No connection is left, and none can be made until it is started again."""
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = self._targets[next(self._next) % len(self._targets)]
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, inner_writer}
        self._writers |= both
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        self._writers -= both


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
