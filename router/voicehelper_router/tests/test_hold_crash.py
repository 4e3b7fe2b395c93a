"""The control plane or Envoy die while requests wait."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from voicehelper_router.tests.harness import CELL_A, RouterUnderTest, problem, running
from voicehelper_router.tests.process import Process

pytestmark = pytest.mark.integration


def snapshot(router: RouterUnderTest, hibernation: str) -> str:
    cell = {"cell_id": CELL_A, "http": f"127.0.0.1:{router.a.port}", "grpc": None, "hibernation": hibernation}
    tenant = {"name": "acme", "state": "routable", "cell_id": CELL_A}
    return json.dumps({"saved_at": datetime.now(UTC).isoformat(), "tenants": [tenant], "cells": [cell]})


async def waiting(router: RouterUnderTest, process: Process) -> asyncio.Task[httpx.Response]:
    """A request of which the process knows that it waits; until Envoy has found the process, they are refused."""
    async with asyncio.timeout(60):
        while True:
            request = asyncio.create_task(router.get())
            while not request.done():
                if (await process.get("/cells/held")).json()["held"] == {CELL_A: 1}:
                    return request
                await asyncio.sleep(0.05)
            problem(await request, 503, "unavailable")


async def test_the_control_plane_is_killed_while_requests_wait(tmp_path: Path) -> None:
    """They are answered with 503; the next one waits as before, since the new process has its snapshot."""
    async with running(tmp_path) as router:
        await router.sleep("Idle", http=False)
        await router.server.stop(0)
        folder = tmp_path / "process"
        folder.mkdir()
        for hibernation in ("Idle", "Idle", ""):
            process = Process(folder, router.xds_port)
            process.snapshot.write_text(snapshot(router, hibernation))
            async with process:
                if not hibernation:
                    break
                request = await waiting(router, process)
                await process.kill()
                response = await request
                assert "could not be woken" in problem(response, 503, "unavailable")["detail"]
                assert response.headers["retry-after"] == "2"
                # Nobody is there to ask, and the request does not slip through to a cell that sleeps.
                assert (await router.get()).status_code == 503
                assert router.a.requests == 0
        async with Process(folder, router.xds_port) as process:
            async with asyncio.timeout(60):
                while (await router.get()).status_code != 200:
                    await asyncio.sleep(0.1)
            assert router.a.requests == 1


async def test_envoy_is_killed_while_requests_wait(tmp_path: Path) -> None:
    async with running(tmp_path) as router:
        await router.get()
        before = (await router.ask_xds("/cells/activity")).json()
        assert before["cells"][CELL_A]["requests"] == 1
        await router.sleep("Idle", http=False)
        lost = asyncio.create_task(router.get())
        await router.held(1)
        await router.stop_envoy()
        with contextlib.suppress(httpx.TransportError):
            await lost
        await router.held(0)
        assert (await router.ask_xds("/cells/activity")).status_code == 503
        await router.start_envoy()
        waiting = asyncio.create_task(router.get())
        await router.held(1)
        after = (await router.ask_xds("/cells/activity")).json()
        assert after["epoch"] != before["epoch"]
        assert after["cells"][CELL_A] == {"requests": 0, "active": 1}
        await router.sleep("")
        assert (await waiting).json()["server"] == "a"


async def test_envoy_that_lost_its_control_plane_sends_who_waits_on_when_it_is_back(tmp_path: Path) -> None:
    """The stream of resources is lost, the check is not: the acknowledgement of the new stream counts."""
    async with running(tmp_path) as router:
        await router.sleep("Idle", http=False)
        waiting = asyncio.create_task(router.get())
        await router.held(1)
        stream = next(iter(router.servicer.streams))
        stream.node = "another"
        await router.sleep("")
        await asyncio.sleep(0.2)
        assert not waiting.done()
        stream.node = "router"
        router.cache.set_tenant("asleep", None)
        assert (await waiting).json()["server"] == "a"
