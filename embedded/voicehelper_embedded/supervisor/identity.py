"""Which process a pid was: its start time tells it from another one that got the same pid later.

The start time is counted by the kernel in ticks since the boot, so that a clock that is set does not move it; the id of
the boot makes pids of an earlier boot worthless.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "VOICEHELPER_SUPERVISED"
"""Environment variable of every process that a supervisor starts: ``<home>:<component>``."""


def boot_id() -> str:
    """Changes with every start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started(pid: int) -> str | None:
    """``<boot>:<ticks>`` of a process that lives; None for none and for a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else f"{boot_id()}:{fields[19]}"


@dataclass(frozen=True, slots=True)
class Identity:
    """A pid alone may have been reused; with the start time it names one process."""

    pid: int
    created: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        """The identity of a process that was just started; one that has ended already matches nothing."""
        return cls(pid, started(pid) or "ended")

    def alive(self) -> bool:
        """Whether that very process runs."""
        return started(self.pid) == self.created

    def process(self) -> psutil.Process | None:
        """The process while it lives."""
        with contextlib.suppress(psutil.Error):
            if self.alive():
                return psutil.Process(self.pid)
        return None

    def descriptor(self) -> int | None:
        """A descriptor that becomes readable when the process ends; None where it has ended already."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if not self.alive():
            os.close(descriptor)
            return None
        return descriptor


def wait(identities: list[Identity], seconds: float) -> list[Identity]:
    """Wait until all have ended, at most so long; those that live still."""
    poll, open_ones = select.poll(), {}
    for identity in identities:
        if (descriptor := identity.descriptor()) is not None:
            poll.register(descriptor, select.POLLIN)
            open_ones[descriptor] = identity
    try:
        while open_ones:
            ended = poll.poll(seconds * 1000)
            if not ended:
                break
            for descriptor, _ in ended:
                poll.unregister(descriptor)
                os.close(descriptor)
                del open_ones[descriptor]
        return list(open_ones.values())
    finally:
        for descriptor in open_ones:
            os.close(descriptor)


def marked(home: Path) -> Iterator[tuple[str, Identity]]:
    """Leaders of sessions that a supervisor of this home started, by component; found by their environment."""
    prefix = f"{MARK}={home}:".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            leads = os.getsid(int(entry.name)) == int(entry.name)
        except (OSError, ProcessLookupError):
            continue
        for variable in variables:
            if leads and variable.startswith(prefix) and (created := started(int(entry.name))):
                yield variable[len(prefix) :].decode(), Identity(int(entry.name), created)
