"""The router, the victim's cell and identity once more, beside the running ones, so that a guard can be taken away."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from voicehelper_cell.app import assemble
from voicehelper_cell.settings import CellSettings
from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import chosen
from voicehelper_cli.isolation.report import Report
from voicehelper_cli.isolation.runner import attack_all
from voicehelper_control_plane import app as control_plane
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_core.http import serve_http
from voicehelper_router import envoy
from voicehelper_router.bootstrap import render
from voicehelper_router.settings import BootstrapSettings

Change = Callable[[dict[str, Any]], None]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def proof(field: Arena, *only: str) -> Report:
    """The chosen attacks, and the comparison of the victim's state."""
    return await attack_all(field, chosen(only))


def manager(config: dict[str, Any]) -> dict[str, Any]:
    """The connection manager of a bootstrap."""
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    found: dict[str, Any] = chain["filters"][0]["typed_config"]
    return found


def provider(config: dict[str, Any]) -> dict[str, Any]:
    """What the router checks of a token."""
    jwt = next(item for item in manager(config)["http_filters"] if item["name"].endswith("jwt_authn"))
    found: dict[str, Any] = jwt["typed_config"]["providers"]["identity"]
    return found


def without(name: str) -> Change:
    """Take a filter out of the router."""

    def change(config: dict[str, Any]) -> None:
        filters = manager(config)["http_filters"]
        manager(config)["http_filters"] = [item for item in filters if not item["name"].endswith(name)]

    return change


async def _elsewhere(field: Arena, url: str, **more: str) -> Arena:
    """The same field, whose attackers log in where they did and then speak to another address."""
    for party in field.parties.values():
        await party.token()
    parties = {role: replace(party, router_url=url, _http=None, **more) for role, party in field.parties.items()}
    return replace(field, parties=parties)


@asynccontextmanager
async def router(field: Arena, folder: Path, change: Change) -> AsyncIterator[Arena]:
    """A second Envoy on the platform's routes, with a changed configuration; its log is in ``folder``."""
    assert field.places.home
    ports, port = field.home.ports(), free_port()
    settings = BootstrapSettings(
        listen_port=port, admin_port=free_port(), xds_socket=field.places.home / "data" / "xds" / "xds.sock",
        jwks_port=ports["xds-http"], identity_port=ports["api"], node_id="mutant",
    )  # fmt: skip
    config = render(settings)
    change(config)
    path, log, url = folder / "envoy.json", folder / "router.log", f"http://127.0.0.1:{port}"
    path.write_text(json.dumps(config))
    command = envoy.command(path, base_id=random.randrange(31_000, 60_000))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    try:
        await _answers(f"{url}/.well-known/jwks.json", process)
        changed = await _elsewhere(field, url)
        yield replace(changed, places=replace(field.places, router_url=url, logs=folder))
        for party in changed.parties.values():
            await party.close()
    finally:
        process.kill()
        await process.wait()


async def _answers(url: str, process: asyncio.subprocess.Process | None = None) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
        while True:
            assert process is None or process.returncode is None, "it ended by itself"
            try:
                await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.3)
            else:
                return


@asynccontextmanager
async def cell(field: Arena) -> AsyncIterator[Arena]:
    """The victim's cell in this process, at ports of its own; attackers reach it without a router."""
    assert field.places.home
    config = json.loads((field.places.home / "run" / "cells" / field.victim.cell_id / "serve.json").read_text())
    own = {"http_port": free_port(), "grpc_port": free_port(), "postgres_pool_size": 2, "jwks_cache_file": None}
    settings = CellSettings(**{**config, **own})
    resources, parts, _, app, grpc = await assemble(settings)
    placements = resources.placements
    keeping = asyncio.create_task(placements.run())
    await grpc.start()
    http = serve_http(app, settings.http_host, settings.http_port)
    serving = asyncio.create_task(http.serve())
    mask = os.umask(0)  # as the supervisor starts cells: the operator removes what they make
    at = {"cell_http": f"127.0.0.1:{settings.http_port}", "cell_grpc": f"127.0.0.1:{settings.grpc_port}"}
    try:
        await _answers(f"http://{at['cell_http']}/healthz")
        while placements.reason is not None:
            await asyncio.sleep(0.1)
        changed = await _elsewhere(field, f"http://{at['cell_http']}", **at)
        victim = replace(field.victim, _http=None, **at)
        yield replace(changed, victim=victim)
        for party in (victim, *changed.parties.values()):
            await party.close()
    finally:
        os.umask(mask)
        http.should_exit = True
        keeping.cancel()
        await asyncio.gather(serving, keeping, return_exceptions=True)
        await grpc.stop(0)
        for part in parts.values():
            await part.close()
        await resources.services.close()
        await resources.close()


@asynccontextmanager
async def identity(field: Arena) -> AsyncIterator[Arena]:
    """Identity in this process, at ports of its own."""
    assert field.places.home
    config = json.loads((field.places.home / "run" / "control-plane.json").read_text())["identity"]
    own = {"http_port": free_port(), "grpc_port": free_port(), "postgres_pool_size": 3}
    settings = ControlPlaneSettings(**{**config, **own})
    pool = await asyncpg.create_pool(settings.postgres_dsn, min_size=0, max_size=3)
    app = control_plane.build(settings, field.world.resources.store, pool)
    grpc = control_plane.grpc_server(app)
    grpc.add_insecure_port(f"127.0.0.1:{settings.grpc_port}")
    await grpc.start()
    http = serve_http(app, "127.0.0.1", settings.http_port)
    serving = asyncio.create_task(http.serve())
    url = f"http://127.0.0.1:{settings.http_port}"
    try:
        await _answers(f"{url}/healthz")
        places = replace(field.places, identity_url=url, identity_grpc=f"127.0.0.1:{settings.grpc_port}")
        yield replace(field, places=places)
    finally:
        http.should_exit = True
        await serving
        await grpc.stop(0)
        await pool.close()


@asynccontextmanager
async def without_rows_policy(field: Arena, dsn: str, service: str, *tables: str) -> AsyncIterator[None]:
    """Row-level security of some tables of the victim's cell is off for a while."""
    connection = await asyncpg.connect(dsn)
    names = [f'"{field.victim.cell_id}_{service}".{table}' for table in tables]
    try:
        for name in names:
            await connection.execute(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
        try:
            yield
        finally:
            for name in names:
                await connection.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    finally:
        await connection.close()
