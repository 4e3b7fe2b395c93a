"""Another release of a cell starts beside the one that serves."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from voicehelper_embedded.supervisor import pairs
from voicehelper_embedded.supervisor.tests.running import BODY, CELL, PROGRAM, RELEASE, Running, install

PATH = f"/workloads/cell-{CELL}"
NEXT = "r11111111111"
NEWER = {**BODY, "release": NEXT}
BROKEN = "import sys; sys.exit('the new release does not start')"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(pairs, "ROUTED_SECONDS", 0.3)


@asynccontextmanager
async def serving(home, program=PROGRAM):
    install(home, NEXT, program)
    async with Running(home) as running:
        await running.http.put(PATH, json=BODY)
        await running.until_ready()
        try:
            yield running
        finally:
            await running.close()


async def until(running: Running, what) -> dict:
    async with asyncio.timeout(20):
        while not what(state := (await running.http.get(PATH)).json()):
            await asyncio.sleep(0.02)
    return state


async def test_it_takes_the_place_once_it_is_ready(home):
    async with serving(home) as running:
        before = await running.until_ready()
        told = (await running.http.put(PATH, json=NEWER)).json()
        assert (told["release"], told["state"], told["settled"]) == (RELEASE, "ready", False)
        seen: list[str] = []

        def came(state: dict) -> bool:
            assert state["state"] == "ready"
            seen.append(state["release"])
            return state["release"] == NEXT

        now = await until(running, came)
        assert RELEASE in seen
        assert now["http"] != before["http"]
        config = json.loads((home.run / "cells" / CELL / "serve-b.json").read_text())
        assert config["alone"] is False
        after = await until(running, lambda state: state["settled"])
        assert after["http"] == now["http"]
        assert [unit for unit in running.supervisor.units if unit.startswith("cell-")] == [f"cell-{CELL}-b"]


async def test_what_cannot_start_never_serves_and_says_why(home):
    async with serving(home, BROKEN) as running:
        before = await running.until_ready()
        await running.http.put(PATH, json=NEWER)
        state = await until(running, lambda state: state["message"])
        assert NEXT in state["message"] and "1 while starting" in state["message"]
        assert (state["release"], state["state"], state["settled"]) == (RELEASE, "ready", False)
        back = (await running.http.put(PATH, json=BODY)).json()
        assert (back["pid"], back["settled"], back["message"]) == (before["pid"], True, "")
        assert [unit for unit in running.supervisor.units if unit.startswith("cell-")] == [f"cell-{CELL}"]


async def test_who_is_connected_is_not_cut_off(home):
    async with serving(home) as running:
        await running.http.put(PATH, json=NEWER)
        now = await until(running, lambda state: state["release"] == NEXT and state["settled"])
        async with httpx.AsyncClient() as client:
            asked = asyncio.create_task(client.get(f"http://{now['http']}/slow", timeout=20))
            await asyncio.sleep(0.3)
            await running.http.put(PATH, json=BODY)
            await until(running, lambda state: state["release"] == RELEASE)
            assert (await asked).status_code == 200
        await until(running, lambda state: state["settled"])


async def test_another_supervisor_goes_on(home):
    install(home, NEXT)
    async with Running(home) as first:
        await first.http.put(PATH, json=BODY)
        await first.until_ready()
        await first.http.put(PATH, json=NEWER)
    async with Running(home) as second:
        await until(second, lambda state: state["release"] == NEXT and state["settled"])
        await second.close()


async def test_a_removal_takes_both(home):
    async with serving(home, BROKEN) as running:
        await running.http.put(PATH, json=NEWER)
        assert (await running.http.delete(PATH)).status_code == 204
        assert not [unit for unit in running.supervisor.units if unit.startswith("cell-")]
        assert not (home.run / "cells" / CELL).exists()
