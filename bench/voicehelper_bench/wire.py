"""HTTP/1.1 by hand, on a connection that is kept: a client library would cost more than what is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping


def request(method: str, path: str, headers: Mapping[str, str], body: str = "") -> bytes:
    """A whole request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body.encode())}")
    return "\r\n".join([*lines, "", body]).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer. Raises AssertionError for one without a length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("\r\ncontent-length:")[2].partition("\r\n")[0].strip()
    assert length, f"an answer without a length: {head[:500]}"
    return int(head.split(" ", 2)[1]), await reader.readexactly(int(length))
