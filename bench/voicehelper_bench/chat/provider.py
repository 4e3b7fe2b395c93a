"""A model provider that answers at once, or holds its answer where the question says so; a process of its own."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from voicehelper_bench.chat.serving import serving

MODEL = "bench"
HOLD = "HOLD"
"""A question with this word gets its first words, and the rest never."""
_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _delta(text: str, reason: str | None = None) -> str:
    return _event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]})


_TEXT = "Backups of a dedicated cell are kept for thirty-five days; an admin of the tenant may restore one."
_WORDS = _TEXT.split()
_USAGE = _event({"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": len(_WORDS)}})
_WHOLE = "".join(_delta(word + " ") for word in _WORDS) + _delta("", "stop") + _USAGE + "data: [DONE]\n\n"
_ANSWER = f"{_HEAD}Content-Length: {len(_WHOLE)}\r\n\r\n{_WHOLE}".encode()
_FIRST = _delta("Backups ")
_HELD = f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n{len(_FIRST):x}\r\n{_FIRST}\r\n".encode()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            body = await reader.readexactly(length)
            if HOLD.encode() not in body:
                writer.write(_ANSWER)
                continue
            writer.write(_HELD)
            await reader.read()  # until the cell goes away
            return
    except (asyncio.IncompleteReadError, ConnectionError, StopIteration):
        return
    finally:
        writer.close()


def _run(listening: socket.socket) -> None:
    async def main() -> None:
        server = await asyncio.start_server(_serve, sock=listening)
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def provider() -> Iterator[tuple[str, int]]:
    """Its base URL and process id."""
    with serving(_run) as (url, pid):
        yield f"{url}/v1", pid
