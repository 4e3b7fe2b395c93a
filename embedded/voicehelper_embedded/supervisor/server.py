"""The supervisor's API on a Unix socket; only root and the platform's own user may speak to it."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from voicehelper_core.http import Server, create_app

from voicehelper_embedded.home import Home
from voicehelper_embedded.supervisor.cells import Run, Workload
from voicehelper_embedded.supervisor.supervisor import Supervisor
from voicehelper_embedded.supervisor.workloads import Workloads


def create(supervisor: Supervisor, workloads: Workloads, end: Callable[[bool], None], info: dict[str, Any]) -> FastAPI:
    """The API. ``end(stop_processes)`` ends the supervisor."""
    app = create_app("supervisor", version="1")

    @app.get("/components")
    async def components(memory: bool = True) -> dict[str, Any]:
        return {**info, "components": await asyncio.to_thread(supervisor.describe, memory=memory)}

    @app.post("/components/{name}/stop", status_code=202)
    async def hold(name: str) -> dict[str, bool]:
        supervisor.unit(name).hold()
        return {"stopping": True}

    @app.post("/components/{name}/start", status_code=202)
    async def let_go(name: str) -> dict[str, bool]:
        supervisor.unit(name).let_go()
        return {"starting": True}

    @app.get("/workloads")
    async def listing() -> list[dict[str, Any]]:
        return workloads.describe_all()

    @app.get("/workloads/{name}")
    async def get(name: str) -> dict[str, Any]:
        return workloads.describe(name)

    @app.put("/workloads/{name}")
    async def put(name: str, workload: Workload) -> dict[str, Any]:
        return await workloads.ensure(name, workload)

    @app.delete("/workloads/{name}", status_code=204)
    async def delete(name: str) -> Response:
        await workloads.remove(name)
        return Response(status_code=204)

    @app.post("/workloads/{name}/run")
    async def run(name: str, step: Run) -> dict[str, Any]:
        return await workloads.run(name, step)

    @app.post("/stop", status_code=202)
    async def stop(keep: bool = False) -> dict[str, bool]:
        end(not keep)
        return {"stopping": True}

    return app


class _CheckedSocket(socket.socket):
    """Accepts connections of allowed users only."""

    allowed: frozenset[int] = frozenset()

    def accept(self) -> tuple[socket.socket, Any]:
        while True:
            connection, address = super().accept()
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            _, uid, _ = struct.unpack("3i", credentials)
            if uid in self.allowed:
                return connection, address
            connection.close()


def listen(home: Home) -> socket.socket:
    """The socket, mode 0600, owned by the platform's user; peers are checked besides."""
    path: Path = home.socket
    path.unlink(missing_ok=True)
    server = _CheckedSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    allowed = {0, os.geteuid()}
    server.bind(str(path))
    path.chmod(0o600)
    if home.user:
        account = pwd.getpwnam(home.user)
        os.chown(path, account.pw_uid, account.pw_gid)
        allowed.add(account.pw_uid)
    server.allowed = frozenset(allowed)
    server.setblocking(False)
    server.listen(64)
    return server


class Api:
    """Serves the API in the background."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2, ws="none"
        )
        self._server, self._listening = Server(config), listening
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once it answers."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listening]), name="api")
        while not self._server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Returns once it has ended."""
        self._server.should_exit = True
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)
