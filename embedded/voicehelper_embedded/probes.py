"""Asks a local server over HTTP with as little work as possible: every component is asked all the time."""

from __future__ import annotations

import asyncio

_LIMIT = 64 * 1024


async def get(host: str, port: int, path: str, timeout: float = 3) -> tuple[int, str]:
    """Status and body of a GET over a connection of its own. Raises OSError, TimeoutError, ValueError."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            await writer.drain()
            answer = await reader.read(_LIMIT)
            while chunk := await reader.read(_LIMIT):
                answer = (answer + chunk)[:_LIMIT]
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(maxsplit=2)[1]), body.decode(errors="replace")
