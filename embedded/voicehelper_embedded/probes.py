"""Asks a local server over HTTP with as little work as possible: every component is asked all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeAlias

_LIMIT = 64 * 1024
_Connection: TypeAlias = Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]


async def get(host: str, port: int, path: str, timeout: float = 3) -> tuple[int, str]:
    """Status and body of a GET over a connection of its own. Raises OSError, TimeoutError, ValueError."""
    return await _get(asyncio.open_connection(host, port), f"{host}:{port}", path, timeout)


async def get_from_socket(socket: Path, path: str, timeout: float = 3) -> tuple[int, str]:
    """The same from a Unix socket."""
    return await _get(asyncio.open_unix_connection(socket), "localhost", path, timeout)


async def _get(connection: _Connection, host: str, path: str, timeout: float) -> tuple[int, str]:
    async with asyncio.timeout(timeout):
        reader, writer = await connection
        try:
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            await writer.drain()
            answer = await reader.read(_LIMIT)
            while chunk := await reader.read(_LIMIT):
                answer = (answer + chunk)[:_LIMIT]
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(maxsplit=2)[1]), body.decode(errors="replace")
