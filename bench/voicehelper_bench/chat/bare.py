"""The peer: the same server without anything of ours, answering as many bytes; a process of its own."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractContextManager
from typing import Any

import uvicorn
import uvloop

from voicehelper_bench.chat.serving import serving

_BODY = b'{"items": [' + b"0" * 900 + b"]}"


async def _application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})


def _run(listening: socket.socket) -> None:
    config = uvicorn.Config(_application, log_config=None, access_log=False, lifespan="off")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listening]))


def bare() -> AbstractContextManager[tuple[str, int]]:
    """Its URL and process id."""
    return serving(_run)
