"""Requests as bytes, and what came back: for what no well-behaved client would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

_SECONDS = 4.0
_LINGER = 0.25
_MAX = 2_000_000
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
Headers = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` of the first answer (0: none), everything that came, how many answers that were."""

    status: int
    raw: bytes
    answers: int = 1

    @property
    def text(self) -> str:
        """For a report."""
        body = self.raw.partition(b"\r\n\r\n")[2] or self.raw
        return f"HTTP {self.status} {body.decode('utf-8', 'replace')}" if self.status else "no answer"

    @property
    def from_router(self) -> bool:
        """Whether the router refused it itself (or the connection): its problem documents name the request."""
        return self.status in (0, 400, 431) or b'"request_id"' in self.raw


def of(response: httpx.Response) -> Answer:
    """An ordinary answer."""
    head = "\r\n".join(f"{name}: {value}" for name, value in response.headers.items())
    return Answer(response.status_code, head.encode() + b"\r\n\r\n" + response.content)


def endpoint(url: str) -> tuple[str, int]:
    """Host and port of a URL or of ``host:port``."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    return parts.hostname or "127.0.0.1", parts.port or 80


def request(method: str, target: str, headers: Headers, body: bytes = b"", *, host: str = "router") -> bytes:
    """A request of HTTP/1.1; ``headers`` go out exactly as they are, after Host."""
    lines = [f"{method} {target} HTTP/1.1".encode("utf-8", "surrogateescape"), b"Host: " + host.encode()]
    for name, value in headers:
        lines.append(name.encode("latin-1") + b": " + (value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def exchange(url: str, data: bytes, *, linger: float = _LINGER, seconds: float = _SECONDS) -> Answer:
    """Send bytes and read until nothing more comes for ``linger`` seconds after the first answer."""
    raw = bytearray()
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(*endpoint(url))
            try:
                writer.write(data)
                await writer.drain()
                while len(raw) < _MAX:
                    async with asyncio.timeout(linger if _complete(raw) else seconds):
                        chunk = await reader.read(65536)
                    if not chunk:
                        break
                    raw += chunk
            finally:
                writer.close()
                with contextlib.suppress(Exception):
                    await writer.wait_closed()
    except (TimeoutError, OSError):
        pass
    found = _STATUS.findall(raw)
    return Answer(int(found[0]) if found else 0, bytes(raw), len(found))


def _complete(raw: bytearray) -> bool:
    head, separator, body = bytes(raw).partition(b"\r\n\r\n")
    if not separator:
        return False
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if length:
        return len(body) >= int(length[1])
    return b"chunked" not in head.lower() or body.endswith(b"0\r\n\r\n")


VOLATILE = re.compile(r'"(trace_id|request_id|instance|created_at|updated_at|access_token|refresh_token)": ?"[^"]*"')


def shape(answer: Answer, *said: str) -> tuple[int, str]:
    """Status and body without what differs in every answer and without what the request said: for comparisons."""
    body = answer.raw.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
    for index, word in enumerate(said):
        if word:
            body = body.replace(word, f"<{index}>").replace(json.dumps(word)[1:-1], f"<{index}>")
    return answer.status, VOLATILE.sub("", body)


def plain(body: Any) -> bytes:
    """JSON bytes."""
    return json.dumps(body).encode()
