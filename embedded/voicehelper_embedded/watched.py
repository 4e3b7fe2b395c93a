"""A running platform as its supervisor shows it: who runs, who was killed, who is back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import psutil

from voicehelper_embedded import status
from voicehelper_embedded.home import Home
from voicehelper_embedded.supervisor import identity
from voicehelper_embedded.throwaway import Platform

RECOVERY_SECONDS = 120
_POLL_SECONDS = 0.3


class Watched:
    """What tests and campaigns do to processes, by the names that ``voicehelper status`` shows."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.home = Home(platform.home, os.geteuid() == 0)

    def status(self) -> dict[str, Any]:
        """As ``voicehelper status --json``, without the memory, which costs time."""
        return status.describe(self.home, memory=False)

    def components(self) -> dict[str, dict[str, Any]]:
        """Components and cells by name (``postgres``, ``cell-<id>``); each has ``pid``, ``state``, ``restarts``."""
        return {item["name"]: item for item in self.status()["components"]}

    def pids(self) -> dict[str, int]:
        """Pids by name, of those that run."""
        return {name: item["pid"] for name, item in self.components().items() if item["pid"]}

    def kill(self, name: str) -> int:
        """``kill -9`` to a component's main process; the pid that it had. Raises KeyError where it does not run."""
        pid = self.pids()[name]
        psutil.Process(pid).kill()
        return pid

    def until(self, check: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The first status that passes. Raises AssertionError with the last one after RECOVERY_SECONDS."""
        end = time.monotonic() + RECOVERY_SECONDS
        while not check(described := self.status()):
            if time.monotonic() > end:
                last = json.dumps(described, indent=1)
                raise AssertionError(f"{what} did not happen in {RECOVERY_SECONDS} s: {last}")
            time.sleep(_POLL_SECONDS)
        return described

    def until_running(self) -> dict[str, Any]:
        """Wait until everything is ready."""
        return self.until(lambda described: described["state"] == "running", "recovery")

    def until_replaced(self, name: str, pid: int) -> None:
        """Wait until a component is ready as another process than ``pid``."""

        def replaced(described: dict[str, Any]) -> bool:
            now: dict[str, Any] = next((i for i in described["components"] if i["name"] == name), {})
            return now.get("state") == "ready" and now["pid"] not in (None, pid)

        self.until(replaced, f"the return of {name}")

    def leaders(self) -> list[tuple[str, int]]:
        """Name and pid of every process that a supervisor of this home started, known to it now or not."""
        return [(name, found.pid) for name, found in identity.marked(self.home.folder)]
