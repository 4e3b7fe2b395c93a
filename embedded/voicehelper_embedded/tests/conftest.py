"""What the tests of the running platform share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

RECOVERY_SECONDS = 120


class Watched:
    """The running platform as its status shows it."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform

    def status(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self.platform.cli("status", "--json").stdout)
        return described

    def pids(self) -> dict[str, int]:
        return {item["name"]: item["pid"] for item in self.status()["components"]}

    def kill(self, name: str) -> int:
        pid = self.pids()[name]
        psutil.Process(pid).kill()
        return pid

    def until(self, check: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        end = time.monotonic() + RECOVERY_SECONDS
        while not check(status := self.status()):
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not happen in {RECOVERY_SECONDS} s: {json.dumps(status, indent=1)}")
            time.sleep(0.3)
        return status

    def until_running(self) -> dict[str, Any]:
        return self.until(lambda status: status["state"] == "running", "recovery")

    def until_replaced(self, name: str, pid: int) -> None:
        def replaced(status: dict[str, Any]) -> bool:
            now = next(item for item in status["components"] if item["name"] == name)
            return now["state"] == "ready" and now["pid"] not in (None, pid)

        self.until(replaced, f"the return of {name}")


@pytest.fixture
def watched(platform) -> Watched:
    made = Watched(platform)
    made.until_running()
    yield made
    made.until_running()
