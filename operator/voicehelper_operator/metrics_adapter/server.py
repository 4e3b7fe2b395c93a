"""TLS for the API server, with certificates that may change while it serves."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from voicehelper_core.certificates import Pair
from voicehelper_core.http import Server

from voicehelper_operator.metrics_adapter.api import PEER

_STOP_SECONDS = 10


class _Protocol(HttpToolsProtocol):
    """Tells the application who the client is; uvicorn itself does not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        certificate: dict[str, Any] = transport.get_extra_info("peercert") or {}
        subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
        self.app_state = {**self.app_state, PEER: subject.get("commonName")}


class TlsServer:
    """Serves until it is stopped. New certificates take a new listener on the same socket: nobody is refused, and
    connections that were opened under the old ones end.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._running: tuple[uvicorn.Server, asyncio.Task[None]] | None = None

    @property
    def port(self) -> int:
        """Of the socket."""
        return int(self._socket.getsockname()[1])

    async def use(self, pair: Pair, authorities: str) -> None:
        """Serve with this certificate; those of clients have to be signed by the authorities (PEM)."""
        context, before = _context(pair, authorities), self._running
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ssl_context_factory=lambda *_: context,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_keep_alive=120,
            timeout_graceful_shutdown=3,
        )
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[self._socket.dup()]), name="https")
        self._running = server, task
        await _stop(before)

    async def close(self) -> None:
        """Stop."""
        await _stop(self._running)
        self._socket.close()


async def _stop(running: tuple[uvicorn.Server, asyncio.Task[None]] | None) -> None:
    if running is not None:
        server, task = running
        server.should_exit = True
        await asyncio.wait([task], timeout=_STOP_SECONDS)


def _context(pair: Pair, authorities: str) -> ssl.SSLContext:
    """A client without a certificate gets as far as to be told so; one with a stranger's does not."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_OPTIONAL
    with tempfile.TemporaryDirectory() as folder:  # ssl takes files only
        file = Path(folder) / "pair.pem"
        file.touch(mode=0o600)
        file.write_text(pair.certificate + pair.key)
        context.load_cert_chain(file)
    return context
