"""Processes that outlive the command that starts them; known by number and start, so that no stranger is ended."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from voicehelper_cli.failures import Failure

_STOP_SECONDS = 10.0


class Daemons:
    """Those of a folder; in the network namespace that is named, if one is."""

    def __init__(self, run: Path, logs: Path, namespace: str = "") -> None:
        self._run, self._logs = run, logs
        # Not "ip netns exec": that mounts /sys anew and hides the cgroups.
        self._enter = ["nsenter", f"--net=/run/netns/{namespace}", "--"] if namespace else []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> bool:
        """Start it unless it runs; whether it was started."""
        if self.alive(name):
            return False
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            started = subprocess.Popen(
                [*self._enter, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        record = {"pid": started.pid, "began": psutil.Process(started.pid).create_time()}
        self._record(name).write_text(json.dumps(record))
        started.returncode = 0  # it is not this process's to wait for
        return True

    def alive(self, name: str) -> bool:
        """Whether it runs."""
        process = self.process(name)
        return process is not None and not _ended(process)

    def expect(self, name: str) -> None:
        """Raises Failure with the end of its log when it has ended."""
        if not self.alive(name):
            raise Failure(f"{name} has ended; the end of {self.log(name)}:\n{self.tail(name)}")

    def process(self, name: str) -> psutil.Process | None:
        """The process, None where it is gone."""
        try:
            record = json.loads(self._record(name).read_text())
            process = psutil.Process(record["pid"])
            return process if process.create_time() == record["began"] else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    def stop(self, name: str) -> None:
        """SIGTERM, and SIGKILL after ten seconds."""
        process = self.process(name)
        if process is not None:
            process.terminate()
            if not all_ended([process], _STOP_SECONDS):
                process.kill()
                all_ended([process], _STOP_SECONDS)
        self._record(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Those that were started and not stopped."""
        return sorted(path.stem for path in self._run.glob("*.json"))

    def log(self, name: str) -> Path:
        """Where its output goes."""
        return self._logs / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of its log."""
        path = self.log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"

    def _record(self, name: str) -> Path:
        return self._run / f"{name}.json"


def all_ended(processes: Sequence[psutil.Process], seconds: float) -> bool:
    """Whether they end within so long. Who has to reap them may be slow, so zombies count as ended."""
    end = time.monotonic() + seconds
    while not all(_ended(process) for process in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
