"""One operating-system process: started in a session of its own, or adopted by pid and start time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOG_BYTES = 20 * 2**20
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start. ``digest`` covers everything that makes a restart necessary, contents of files included."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    user: str | None = None
    folder: Path = Path("/")
    umask: int = 0o077
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 8.0
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Changes when the process has to be restarted."""
        facts = [list(self.argv), sorted(self.environment.items()), self.user, sorted(self.files.items())]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Identity:
    """A pid alone may have been reused; with the start time it names one process."""

    pid: int
    created: float

    def process(self) -> psutil.Process | None:
        """The process while it lives (a zombie does not)."""
        try:
            found = psutil.Process(self.pid)
            alive = abs(found.create_time() - self.created) < 0.05 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return found if alive else None


class Process:
    """A running process that this supervisor started or adopted."""

    def __init__(self, identity: Identity, launch: Launch, child: subprocess.Popen[bytes] | None = None) -> None:
        self.identity, self._launch, self._child = identity, launch, child

    @property
    def pid(self) -> int:
        """Its pid, which is also that of its session and process group."""
        return self.identity.pid

    def alive(self) -> bool:
        """Whether it runs; reaps it when it was our child and has ended."""
        if self._child is not None and self._child.poll() is not None:
            return False
        return self.identity.process() is not None

    def ending(self) -> str:
        """How it ended, for people."""
        code = self._child.poll() if self._child else None
        if code is None:
            return "it ended"
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"

    def rss(self) -> int:
        """Resident bytes of it and its descendants."""
        process = self.identity.process()
        if process is None:
            return 0
        total = 0
        with contextlib.suppress(psutil.Error):
            for member in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory = member.memory_full_info() if len(process.children()) else member.memory_info()
                    total += getattr(memory, "pss", 0) or memory.rss
        return total

    async def stop(self) -> None:
        """End it gracefully, then by force; its descendants end with it."""
        root = self.identity.process()
        family = [root, *root.children(recursive=True)] if root else []
        if root:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self._launch.stop_signal)
            end = time.monotonic() + self._launch.stop_seconds
            while self.alive() and time.monotonic() < end:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        while self.alive():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)


def rotate(log: Path) -> None:
    """Keep one older log once the current one is large."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))


def start(launch: Launch, log: Path) -> Process:
    """Start it as its user in a session of its own. Raises OSError."""
    rotate(log)
    account = pwd.getpwnam(launch.user) if launch.user else None
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        if account:
            os.fchown(descriptor, -1, account.pw_gid)
        child = subprocess.Popen(
            list(launch.argv),
            env=dict(launch.environment),
            cwd=launch.folder,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            umask=launch.umask,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    finally:
        os.close(descriptor)
    try:
        created = psutil.Process(child.pid).create_time()
    except psutil.Error:
        created = 0.0  # it ended at once; nobody will be adopted by that
    return Process(Identity(child.pid, created), launch, child)
