"""A release is taken through the cells while clients work, and comes back by itself where it is bad."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from voicehelper_embedded.tests import archived_tenant as world
from voicehelper_embedded.tests.clients import clients
from voicehelper_embedded.tests.crash_points import parameters, points
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
POINTS = points("release")
TENANTS = ("acme", "globex")
GOOD = "raaaaaaaaaa1"
MAIN = "voicehelper_cell/__main__.py"
BAD = {
    "does not start": ("raaaaaaaaab1", MAIN, lambda text: "raise SystemExit('this build is broken')\n"),
    "dies after a while": (
        "raaaaaaaaab2",
        MAIN,
        lambda text: text.replace(
            "from __future__ import annotations\n",
            "from __future__ import annotations\n"
            "import os, sys, threading\n"
            "if sys.argv[1:2] == ['serve']:\n"
            "    threading.Timer(12, os._exit, [3]).start()\n",
        ),
    ),
    "answers wrongly": (
        "raaaaaaaaab3",
        "voicehelper_cell/web/probe.py",
        lambda text: text.replace('"cell_id": who.cell_id', '"cell_id": "somebodyelse"'),
    ),
}
STRATEGY = {
    "waves": [
        {"name": "one-box", "maxCells": 1, "bake": {"seconds": 15}},
        {"name": "all", "bake": {"seconds": 5}},
    ],
    "failurePolicy": {"unhealthySeconds": 5, "maxRestarts": 0},
    "progressDeadlineSeconds": 90,
}


@pytest.fixture(scope="module")
def follows(platform: Platform) -> Iterator[str]:
    """The platform while its cells go on with their release; the release that they run."""
    settings = platform.home / "settings.json"
    before = settings.read_text() if settings.exists() else None
    told = json.loads(before) if before else {}
    told.setdefault("control-plane", {})["operator"] = {"cells_follow": "rollouts"}
    settings.write_text(json.dumps(told))
    _restart(platform)
    yield running(platform)["globex"]
    if before is None:
        settings.unlink()
    else:
        settings.write_text(before)
    _restart(platform)
    for item in json.loads(platform.cli("get", "cellreleases", "-o", "json").stdout)["items"]:
        platform.cli("delete", "cellrelease", item["metadata"]["name"])
    world.until(lambda: all(_settled(platform, cell) for cell in running(platform)))


def _restart(platform: Platform) -> None:
    platform.cli("stop", "control-plane")
    platform.cli("start", "control-plane")
    for tenant in TENANTS:
        platform.cli("wait", f"tenant/{tenant}", "--for", "condition=Ready", "--timeout", "120s")


def _settled(platform: Platform, cell: str) -> bool:
    conditions = platform.resource("cell", cell)["status"]["conditions"]
    return all(any(item["type"] == kind and item["status"] == "True" for item in conditions)
               for kind in ("Ready", "RolledOut"))  # fmt: skip


def running(platform: Platform) -> dict[str, str]:
    """The release by cell."""
    cells = json.loads(platform.cli("get", "cells", "-o", "json").stdout)["items"]
    return {item["metadata"]["name"]: item["status"]["release"] for item in cells if "release" in item["status"]}


def install(platform: Platform, current: str, release: str, file: str = "", change: Any = None) -> None:
    """A copy of the release that runs, changed."""
    target = platform.home / "releases" / release
    shutil.copytree(platform.home / "releases" / current, target, dirs_exist_ok=True)
    if file:
        path = target / file
        text = path.read_text()
        assert change(text) != text
        path.write_text(change(text))


def begin(platform: Platform, name: str, release: str) -> None:
    spec = {"release": release, "strategy": STRATEGY}
    manifest = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "CellRelease",
        "metadata": {"name": name},
        "spec": spec,
    }
    platform.cli("apply", "-f", "-", stdin=json.dumps(manifest))


async def ended(platform: Platform, name: str, seconds: float = 240) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        status = (await asyncio.to_thread(platform.resource, "cellrelease", name))["status"]
        if "finishedAt" in status:
            return status
        assert time.monotonic() < end, status
        await asyncio.sleep(0.5)


async def working(platform: Platform, action: Callable[[], Any]) -> Any:
    """What the action gives, while clients of both tenants work; none of their requests fails."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(clients(platform, tenant)) for tenant in TENANTS]
        found = await action()
        done = [item.done for item in made]
        await asyncio.sleep(2)
        assert all(item.done > before for item, before in zip(made, done, strict=True))
        print(f"{sum(item.done for item in made)} requests, the slowest took {max(i.slowest for i in made):.1f} s")
    return found


async def test_a_good_release_reaches_every_cell_and_comes_back(platform: Platform, follows: str) -> None:
    install(platform, follows, GOOD)

    async def there_and_back() -> None:
        begin(platform, "good", GOOD)
        status = await ended(platform, "good")
        assert status["phase"] == "Complete", status
        assert set(running(platform).values()) == {GOOD}
        platform.cli("release", "rollback", "good", "--reason", "the other way")
        await asyncio.sleep(2)
        status = await ended(platform, "good")
        assert status["phase"] == "RolledBack", status
        assert set(running(platform).values()) == {follows}

    await working(platform, there_and_back)
    shown = platform.cli("release", "status", "good").stdout
    assert "one-box" in shown and "the other way" in shown


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_release_is_noticed_in_one_cell_and_taken_back(platform: Platform, follows: str, bad: str) -> None:
    release, file, change = BAD[bad]
    install(platform, follows, release, file, change)
    name = f"bad-{release[-1]}"

    async def tried() -> dict[str, Any]:
        begin(platform, name, release)
        return await ended(platform, name)

    if bad == "dies after a while":  # whoever is in it when it dies is cut off
        status = await tried()
    else:
        status = await working(platform, tried)
    assert status["phase"] == "RolledBack", status
    touched = [entry for wave in status["waves"] for entry in wave["cells"] if "begunAt" in entry]
    assert len(touched) == 1
    assert status["ended"]["cause"] == "Failure"
    print(bad, status["ended"]["message"])
    assert set(running(platform).values()) == {follows}
    events = platform.cli("describe", "cellrelease", name).stdout
    assert "CellGoesBack" in events and "RolledBack" in events


@pytest.mark.parametrize("point", parameters(POINTS, always=("operator.release.status.recorded",)))
async def test_whenever_the_control_plane_dies_it_goes_on(platform: Platform, follows: str, point: str) -> None:
    release = f"raaaaaaaac0{POINTS.index(point)}"
    install(platform, follows, release)
    name = f"killed-{POINTS.index(point)}"
    world.arm(platform, point)
    begin(platform, name, release)
    world.until(lambda: world.struck(platform, point))
    status = await ended(platform, name)
    assert status["phase"] == "Complete", status
    platform.cli("release", "rollback", name, "--reason", "as it was")
    await asyncio.sleep(2)
    assert (await ended(platform, name))["phase"] == "RolledBack"
