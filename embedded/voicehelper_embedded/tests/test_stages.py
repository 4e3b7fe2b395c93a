"""The users of a cell come to a release in stages while clients work, and go back where it is bad."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import psutil
import pytest
from voicehelper_embedded.tests.clients import Clients, clients
from voicehelper_embedded.tests.test_release import (
    TENANTS,
    ended,
    follows,  # noqa: F401 (a fixture)
    install,
    running,
)
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900), pytest.mark.usefixtures("follows")]
GOOD, ERRORS, WRONG, KILLED = "raaaaaaaaad1", "raaaaaaaaad2", "raaaaaaaaad3", "raaaaaaaaad4"
LISTING = '"""The caller\'s conversations, newest first."""\n'
BROKEN = "    import random\n    if random.random() < 0.25:\n        raise RuntimeError('this build is broken')\n"
STAGES = [
    {"weight": 1, "seconds": 8, "maxErrorPercent": 3.0},
    {"weight": 60, "seconds": 4, "maxErrorPercent": 3.0},
    {"weight": 100, "seconds": 0},
]
ASKED = {"x-canary": "true"}


def begin(
    platform: Platform, name: str, release: str, stages: list[dict[str, Any]] | None = None, **policy: Any
) -> None:
    strategy = {
        "waves": [{"name": "one-box", "maxCells": 1, "bake": {"seconds": 2}}, {"name": "all", "bake": {"seconds": 2}}],
        "failurePolicy": {"unhealthySeconds": 15, **policy},
        "traffic": {"stages": STAGES if stages is None else stages},
    }
    manifest = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "CellRelease",
        "metadata": {"name": name},
        "spec": {"release": release, "strategy": strategy},
    }
    platform.cli("apply", "-f", "-", stdin=json.dumps(manifest))


def traffic(platform: Platform, cell_id: str) -> dict[str, Any]:
    """What the router has counted of a cell's serving release."""
    url = f"http://127.0.0.1:{platform.ports['xds-http']}/cells/traffic"
    answer = httpx.get(url, params={"cell": cell_id}, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()["cells"].get(cell_id, {}).get("serving", {"requests": 0, "errors": 0})


def rendered(platform: Platform) -> list[str]:
    """All that Envoy was told of clusters and routes, without versions and times."""
    socket = httpx.HTTPTransport(uds=str(platform.home / "data" / "router" / "admin.sock"))
    with httpx.Client(transport=socket, base_url="http://envoy", timeout=30) as client:
        configs = client.get("/config_dump").json()["configs"]
    found = []
    for item in configs:
        for kind in ("dynamic_active_clusters", "dynamic_route_configs", "dynamic_scoped_route_configs"):
            for part in item.get(kind, []):
                part.pop("last_updated", None)
                found.append(json.dumps(part, sort_keys=True))
    return sorted(found)


async def status(platform: Platform, name: str) -> dict[str, Any]:
    return (await asyncio.to_thread(platform.resource, "cellrelease", name))["status"]


def cells_of(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (entry for wave in told["waves"] for entry in wave["cells"])


async def at_stage(platform: Platform, name: str, index: int, seconds: float = 180) -> dict[str, Any]:
    """Until a cell is in a stage."""
    end = time.monotonic() + seconds
    while True:
        told = await status(platform, name)
        for entry in cells_of(told) if "waves" in told else ():
            if entry["phase"] == "Shifting" and entry["stage"].get("index", 0) == index:
                return entry
        assert "finishedAt" not in told and time.monotonic() < end, told
        await asyncio.sleep(0.3)


async def everybody(
    stack: AsyncExitStack, platform: Platform, *, may_fail: bool
) -> tuple[list[Clients], list[Clients]]:
    """Users as they come, and users who ask for what is tried."""
    usual = [await stack.enter_async_context(clients(platform, name, may_fail=may_fail)) for name in TENANTS]
    asking = [
        await stack.enter_async_context(clients(platform, name, headers=ASKED, may_fail=may_fail)) for name in TENANTS
    ]
    return usual, asking


async def test_a_good_release_comes_stage_by_stage_and_no_request_fails(platform: Platform) -> None:
    current = running(platform)["globex"]
    install(platform, current, GOOD)
    async with AsyncExitStack() as stack:
        usual, asking = await everybody(stack, platform, may_fail=False)
        begin(platform, "staged", GOOD)
        entry = await at_stage(platform, "staged", 0)
        cell = (await asyncio.to_thread(platform.resource, "cell", entry["cell"]))["status"]
        assert (cell["release"], cell["canary"]["release"]) == (current, GOOD)
        assert cell["canary"]["weight"] in {stage["weight"] for stage in STAGES}
        shown = await asyncio.to_thread(platform.cli, "release", "status", "staged")
        assert " of 3, " in shown.stdout and " % of the users" in shown.stdout
        told = await ended(platform, "staged", 400)
        assert told["phase"] == "Complete", told.get("ended")
        assert set(running(platform).values()) == {GOOD}
        await asyncio.sleep(2)
        done = sum(item.done for item in (*usual, *asking))
        print(f"{done} requests, the slowest took {max(item.slowest for item in (*usual, *asking)):.1f} s")
    platform.cli("release", "rollback", "staged", "--reason", "as it was")
    await asyncio.sleep(2)
    assert (await ended(platform, "staged"))["phase"] == "RolledBack"


async def test_a_build_that_answers_with_errors_is_found_at_a_stage_and_taken_back(platform: Platform) -> None:
    current = running(platform)["globex"]
    install(platform, current, ERRORS, "voicehelper_cell/web/conversations.py",
            lambda text: text.replace(LISTING, LISTING + BROKEN))  # fmt: skip
    before = rendered(platform)
    async with AsyncExitStack() as stack:
        usual, asking = await everybody(stack, platform, may_fail=True)
        begin(platform, "errors", ERRORS)
        entry = await at_stage(platform, "errors", 0)
        figures = traffic(platform, entry["cellId"])
        told = await ended(platform, "errors")
        after = traffic(platform, entry["cellId"])
        failed = [len(item.failed) for item in (*usual, *asking)]
        print(f"{told['ended']}, back at {told['finishedAt']}; failed of usual and asking clients: {failed}")
        done = [item.done for item in usual]
        await asyncio.sleep(3)
        assert all(item.done > count for item, count in zip(usual, done, strict=True))
    assert told["phase"] == "RolledBack" and told["ended"]["cause"] == "Failure"
    assert told["ended"]["metric"] == "errors" and "more than 3.00 %" in told["ended"]["value"]
    (touched,) = [item for item in cells_of(told) if "begunAt" in item]
    assert touched["stage"].get("index", 0) == 0
    assert sum(len(item.failed) for item in asking) > 0
    assert after["errors"] == figures["errors"], "a client of the release before has seen an error"
    if after["requests"] > figures["requests"]:
        print(f"{after['requests'] - figures['requests']} requests of the release before, none failed")
    assert set(running(platform).values()) == {current}
    assert rendered(platform) == before


async def test_a_wrong_answer_that_only_the_probe_sees_never_gets_a_user(platform: Platform) -> None:
    current = running(platform)["globex"]
    install(platform, current, WRONG, "voicehelper_cell/web/probe.py",
            lambda text: text.replace('"cell_id": who.cell_id', '"cell_id": "somebodyelse"'))  # fmt: skip
    begin(platform, "wrong", WRONG)
    told = await ended(platform, "wrong")
    assert told["phase"] == "RolledBack", told
    assert "somebodyelse" in told["ended"]["message"]
    assert not [item for item in cells_of(told) if "stage" in item]
    assert set(running(platform).values()) == {current}


@pytest.mark.thorough
async def test_the_control_plane_dies_in_a_stage_and_goes_on(platform: Platform) -> None:
    current = running(platform)["globex"]
    install(platform, current, KILLED)
    async with AsyncExitStack() as stack:
        await everybody(stack, platform, may_fail=False)
        begin(platform, "killed", KILLED)
        entry = await at_stage(platform, "killed", 0)
        known = json.loads((platform.home / "state" / "processes.json").read_text())
        psutil.Process(known["control-plane"]["pid"]).send_signal(signal.SIGKILL)
        told = await ended(platform, "killed", 400)
        assert told["phase"] == "Complete", told.get("ended")
        again = next(item for item in cells_of(told) if item["cell"] == entry["cell"])
        assert again["begunAt"] == entry["begunAt"]
    platform.cli("release", "rollback", "killed", "--reason", "as it was")
    await asyncio.sleep(2)
    assert (await ended(platform, "killed"))["phase"] == "RolledBack"
