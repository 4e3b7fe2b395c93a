"""Processes of a benchmark: pinned to a core, measured, and ended with it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

_STOP_SECONDS = 10


def cores() -> tuple[set[int], set[int]]:
    """The core of what is measured, and the cores of all else; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, set(usable[1:]) or {usable[0]}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _inherited() -> dict[str, str]:
    """Without the setting that makes Python compile everything at each start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Running:
    """A started process; its output is in ``log``."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, on: set[int], environment: Mapping[str, str]):
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**_inherited(), **environment},
            )
        os.sched_setaffinity(self._child.pid, on)
        self._process = psutil.Process(self._child.pid)

    def cpu(self) -> float:
        """Seconds of CPU since the start."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> float:
        """Resident MiB."""
        return float(self._process.memory_info().rss) / 2**20

    def wait_listening(self, port: int, seconds: float = 120) -> None:
        """Raises RuntimeError with the end of the log where nothing listens in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"{self.name} does not listen:\n{self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End it, by force where it does not end by itself."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()


@contextmanager
def started(
    name: str, command: Sequence[str], folder: Path, on: set[int], environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run until the end of the block."""
    running = Running(name, command, folder, on, environment or {})
    try:
        yield running
    finally:
        running.stop()
