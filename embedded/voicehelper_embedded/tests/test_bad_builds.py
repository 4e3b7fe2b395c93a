"""Builds that answer well and are bad anyway: one grows in memory, one is slow. Stages find both under clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from voicehelper_embedded.tests.test_release import (
    MAIN,
    ended,
    follows,  # noqa: F401 (a fixture)
    install,
    running,
)
from voicehelper_embedded.tests.test_stages import LISTING, begin, cells_of, everybody
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600), pytest.mark.usefixtures("follows")]
FUTURE = "from __future__ import annotations\n"
GROWS = """
import sys
import threading
import time

KEPT = []


def grow():
    while True:
        KEPT.append(b"x" * (3 << 20))
        time.sleep(0.25)


if sys.argv[1:2] == ["serve"]:
    threading.Thread(target=grow, daemon=True).start()
"""
SLOW = "    import asyncio\n    await asyncio.sleep(0.7)\n"
BUILDS: dict[str, tuple[str, str, Callable[[str], str], dict[str, Any]]] = {
    "memory": ("raaaaaaaaae1", MAIN, lambda text: text.replace(FUTURE, FUTURE + GROWS), {}),
    "p95": (
        "raaaaaaaaae2",
        "voicehelper_cell/web/conversations.py",
        lambda text: text.replace(LISTING, LISTING + SLOW),
        {"maxP95Milliseconds": 500},
    ),
}


@pytest.mark.parametrize("metric", BUILDS)
async def test_it_is_found_at_a_stage_and_taken_back_and_nobody_fails(platform: Platform, metric: str) -> None:
    release, file, change, limits = BUILDS[metric]
    current, name = running(platform)["globex"], f"bad-{metric}"
    install(platform, current, release, file, change)
    stages = [{"weight": 40, "seconds": 60, **limits}, {"weight": 100, "seconds": 0}]
    async with AsyncExitStack() as stack:
        usual, asking = await everybody(stack, platform, may_fail=False)
        begin(platform, name, release, stages, maxMemoryGrowthPercent=40)
        told = await ended(platform, name)
        print(f"{told['ended']}, begun at {told['startedAt']}, back at {told['finishedAt']}")
        done = [item.done for item in (*usual, *asking)]
        await asyncio.sleep(2)
        assert all(item.done > count for item, count in zip((*usual, *asking), done, strict=True))
    assert told["phase"] == "RolledBack" and told["ended"]["cause"] == "Failure"
    assert told["ended"]["metric"] == metric and "more than" in told["ended"]["value"]
    (touched,) = [item for item in cells_of(told) if "begunAt" in item]
    assert touched["failedBy"]["metric"] == metric and touched["stage"].get("index", 0) == 0
    assert set(running(platform).values()) == {current}
