"""A release that is tried stays beside the one that serves until the operator says what becomes of it."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from voicehelper_embedded.supervisor import pairs
from voicehelper_embedded.supervisor.tests.running import BODY, CELL, RELEASE, Running, install
from voicehelper_embedded.supervisor.tests.test_pairs import BROKEN, NEXT, PATH, serving, until

TRIED = {**BODY, "release": NEXT, "beside": True}
PROMOTED = {**BODY, "release": NEXT}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(pairs, "ROUTED_SECONDS", 0.3)


def processes(running: Running) -> list[str]:
    return [unit for unit in running.supervisor.units if unit.startswith("cell-")]


async def tried(running: Running) -> dict:
    await running.http.put(PATH, json=TRIED)
    return await until(running, lambda state: state["canary"] and state["canary"]["ready"])


async def test_it_stays_beside_until_it_is_told_to_serve(home):
    async with serving(home) as running:
        before = await running.until_ready()
        state = await tried(running)
        assert (state["release"], state["http"], state["settled"]) == (RELEASE, before["http"], False)
        assert state["canary"]["release"] == NEXT and state["canary"]["http"] != before["http"]
        assert state["rss_bytes"] > 2**20 and state["canary"]["rss_bytes"] > 2**20
        again = (await running.http.put(PATH, json=TRIED)).json()
        assert {**again["canary"], "rss_bytes": 0} == {**state["canary"], "rss_bytes": 0}
        now = (await running.http.put(PATH, json=PROMOTED)).json()
        assert (now["release"], now["http"], now["canary"]) == (NEXT, state["canary"]["http"], None)
        await until(running, lambda state: state["settled"])
        assert processes(running) == [f"cell-{CELL}-b"]


async def test_it_is_told_to_serve_before_it_answers(home):
    async with serving(home) as running:
        await running.http.put(PATH, json=TRIED)
        await running.http.put(PATH, json=PROMOTED)
        state = await until(running, lambda state: state["release"] == NEXT and state["settled"])
        assert state["canary"] is None


async def test_it_goes_and_who_is_in_it_is_not_cut_off(home):
    async with serving(home) as running:
        before = await running.until_ready()
        canary = (await tried(running))["canary"]
        async with httpx.AsyncClient() as client:
            asked = asyncio.create_task(client.get(f"http://{canary['http']}/slow", timeout=20))
            await asyncio.sleep(0.3)
            back = (await running.http.put(PATH, json=BODY)).json()
            assert (back["pid"], back["http"], back["canary"]) == (before["pid"], before["http"], None)
            assert (await asked).status_code == 200
        await until(running, lambda state: state["settled"])
        assert processes(running) == [f"cell-{CELL}"]


async def test_what_cannot_start_is_told_and_goes_at_once(home):
    async with serving(home, BROKEN) as running:
        await running.http.put(PATH, json=TRIED)
        state = await until(running, lambda state: state["canary"] and state["canary"]["restarts"])
        assert not state["canary"]["ready"] and NEXT in state["message"]
        assert (state["release"], state["state"]) == (RELEASE, "ready")
        back = (await running.http.put(PATH, json=BODY)).json()
        assert back["settled"] and back["canary"] is None


async def test_another_supervisor_leaves_it_beside(home):
    install(home, NEXT)
    async with Running(home) as first:
        await first.http.put(PATH, json=BODY)
        await first.until_ready()
        before = await tried(first)
        saved = json.loads((home.state / "cells.json").read_text())[f"cell-{CELL}"]
        assert [item["workload"].get("beside") for item in saved] == [None, True]
    async with Running(home) as second:
        after = await until(second, lambda state: state["canary"] and state["canary"]["ready"])
        assert (after["release"], after["pid"], after["http"]) == (RELEASE, before["pid"], before["http"])
        assert after["canary"]["http"] == before["canary"]["http"]
        now = (await second.http.put(PATH, json=PROMOTED)).json()
        assert (now["release"], now["http"]) == (NEXT, before["canary"]["http"])
        await until(second, lambda state: state["settled"])
        await second.close()


async def test_what_serves_dies_and_comes_back_while_another_is_tried(home):
    async with serving(home) as running:
        before = await running.until_ready()
        await tried(running)
        await running.supervisor.units[f"cell-{CELL}"].process.stop()
        state = await until(running, lambda state: state["state"] == "ready" and state["pid"] != before["pid"])
        assert state["release"] == RELEASE and state["canary"]["ready"]
        told = (await running.http.put(PATH, json=TRIED)).json()
        assert (told["release"], told["canary"]["release"]) == (RELEASE, NEXT)
