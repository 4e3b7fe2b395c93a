"""The router's control plane, as a process of its own, and the keys that it fetches."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from voicehelper_bench.router.processes import Running, free_port, started


@contextmanager
def keys_server(document: dict[str, Any]) -> Iterator[str]:
    """URL of a key set, in place of identity's."""
    body = json.dumps(document).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Control:
    """A running control plane. ``answering`` and ``ready`` are seconds from its start."""

    process: Running
    xds_port: int
    http_port: int
    answering: float
    ready: float

    def get(self, path: str) -> httpx.Response:
        """From its HTTP side."""
        return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", trust_env=False, timeout=60)

    def metric(self, name: str) -> float:
        """Sum of a metric's series; 0 where there are none."""
        lines = [line.rsplit(" ", 1) for line in self.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(value) for series, value in lines if series.partition("{")[0] == name)


def _until(seconds: float, done: Any) -> float:
    """Seconds until ``done()``. Raises TimeoutError."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if done():
                return time.monotonic() - began
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"the control plane is not ready after {seconds} s")


@contextmanager
def control_plane(
    dsn: str, keys_url: str, folder: Path, on: set[int], name: str = "xds", **settings: Any
) -> Iterator[Control]:
    """The product's process, once it has routes and keys."""
    xds, web = settings.pop("xds_port", None) or free_port(), settings.pop("http_port", None) or free_port()
    config = {
        "postgres_dsn": dsn, "xds_port": xds, "http_port": web, "jwks_source_url": keys_url,
        "snapshot_file": str(folder / f"{name}-snapshot.json"), "jwks_file": str(folder / f"{name}-jwks.json"),
        **settings,
    }  # fmt: skip
    path = folder / f"{name}-config.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "voicehelper_router", "serve"]
    with started(name, command, folder, on, {"VOICEHELPER_CONFIG": str(path)}) as process:
        began = time.monotonic()
        base = f"http://127.0.0.1:{web}"
        answering = _until(120, lambda: httpx.get(f"{base}/healthz", trust_env=False, timeout=60).status_code == 200)
        _until(300, lambda: httpx.get(f"{base}/readyz", trust_env=False, timeout=60).status_code == 200)
        yield Control(process, xds, web, answering, time.monotonic() - began)
