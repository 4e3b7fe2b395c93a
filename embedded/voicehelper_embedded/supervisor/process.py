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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from voicehelper_embedded.supervisor.identity import MARK, Identity

_KILL_SECONDS = 10


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
        facts = [list(self.argv), sorted(self.environment.items()), self.user, self.umask, sorted(self.files.items())]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


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
        return self.identity.alive() if self._child is None else self._child.poll() is None

    async def ended(self, timeout: float | None = None) -> bool:
        """Wait for its end, at most ``timeout`` seconds; whether it has ended."""
        if not self.alive():
            return True
        descriptor = self.identity.descriptor()
        if descriptor is None:
            return not self.alive()  # which reaps what ended just now
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, over.set)
        try:
            async with asyncio.timeout(timeout):
                await over.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return not self.alive()

    def ending(self) -> str:
        """How it ended, for people."""
        code = self._child.poll() if self._child else None
        if code is None:
            return "it ended"
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"

    def rss(self) -> int:
        """Resident bytes of it and its descendants; what they share (as Postgres does) is counted once."""
        process = self.identity.process()
        if process is None:
            return 0
        total = 0
        with contextlib.suppress(psutil.Error):
            children = process.children(recursive=True)
            for member in (process, *children):
                with contextlib.suppress(psutil.Error):
                    total += member.memory_full_info().pss if children else member.memory_info().rss
        return total

    async def stop(self) -> None:
        """End it gracefully, then by force; its descendants end with it."""
        root = self.identity.process()
        if root is None:
            self.alive()  # reaps
            return
        family = [root, *root.children(recursive=True)]
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, self._launch.stop_signal)
        await self.ended(self._launch.stop_seconds)
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()  # psutil compares start times: a reused pid is left alone
        await self.ended(_KILL_SECONDS)


FAKETIME_LIBRARY = "VOICEHELPER_FAKETIME_LIBRARY"
_REAL_CLOCK = ("java", "envoy")  # they hang under libfaketime


def clock_environment(program: str) -> dict[str, str]:
    """A clock of its own for our processes, where a test started the platform under faketime (chaos-scenarios.md).

    The library comes under a name of ours, since the command that starts the platform cannot sleep with it.
    """
    if (library := os.environ.get(FAKETIME_LIBRARY)) is None or Path(program).name in _REAL_CLOCK:
        return {}
    return {"LD_PRELOAD": library, **clock_settings()}


def clock_settings() -> dict[str, str]:
    """What libfaketime is told."""
    return {name: value for name, value in os.environ.items() if name.startswith("FAKETIME")}


def start(launch: Launch, log: Path, mark: str) -> Process:
    """Start it as its user in a session of its own. Raises OSError."""
    account = pwd.getpwnam(launch.user) if launch.user else None
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        if account:
            os.fchown(descriptor, -1, account.pw_gid)
        child = subprocess.Popen(
            list(launch.argv),
            env={**launch.environment, **clock_environment(launch.argv[0]), MARK: mark},
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
    return Process(Identity.of(child.pid), launch, child)
