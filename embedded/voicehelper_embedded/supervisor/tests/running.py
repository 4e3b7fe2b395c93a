"""A supervisor with its API, and small programs in the place of cells."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
from voicehelper_embedded.context import Context
from voicehelper_embedded.home import Home
from voicehelper_embedded.release import Release
from voicehelper_embedded.supervisor import server
from voicehelper_embedded.supervisor.state import ProcessTable
from voicehelper_embedded.supervisor.supervisor import Supervisor
from voicehelper_embedded.supervisor.workloads import Workloads

CELL = "abcdefghijkl"
RELEASE = "r0123456789a"
BODY = {"cell_id": CELL, "release": RELEASE, "module": "voicehelper_cell", "config": {"cell_id": CELL, "secret": "s"}}
PROGRAM = """
import http.server, json, os, sys, time
config = json.load(open(os.environ["VOICEHELPER_CONFIG"]))
if sys.argv[1] == "migrate":
    print(json.dumps({"schema_revision": "conversation=0001"}))
    sys.exit(int(config.get("fails", 0)))
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(3)
        self.send_response(200); self.end_headers(); self.wfile.write(b"ready")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", config["http_port"]), Ready).serve_forever()
"""


def install(home: Home, release: str, program: str = PROGRAM) -> None:
    """Put a release there whose cells are ``program``."""
    package = home.releases / release / "voicehelper_cell"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(program)


class Running:
    """A supervisor with its API."""

    def __init__(self, home: Home) -> None:
        context = Context(home, {}, {}, Release(RELEASE, home.releases / RELEASE, Path(sys.executable)))
        self.supervisor = Supervisor(ProcessTable(home.folder), home.logs)
        self.workloads = Workloads(context, self.supervisor)
        for name in ("postgres", "kafka", "milvus", "inference"):
            self.supervisor.units[name] = _Ready()  # what cells require is there
        self.workloads.restore()
        self.ended: list[bool] = []
        self.api = server.Api(
            server.create(self.supervisor, self.workloads, self.ended.append, {"pid": os.getpid()}), server.listen(home)
        )
        transport = httpx.AsyncHTTPTransport(uds=str(home.socket))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://supervisor", timeout=30)

    async def __aenter__(self) -> Running:
        await self.api.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await self.api.stop()
        await self.supervisor.detach()

    async def close(self) -> None:
        for name in list(self.supervisor.units):
            if name.startswith("cell-"):
                await self.supervisor.remove(name)

    async def until_ready(self) -> dict:
        async with asyncio.timeout(20):
            while (state := (await self.http.get(f"/workloads/cell-{CELL}")).json())["state"] != "ready":
                await asyncio.sleep(0.05)
        return state


class _Ready:
    name = "a store"

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()
        self.component = self
