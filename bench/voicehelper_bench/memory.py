"""Memory and processor time of processes and their descendants, as Linux counts them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB. ``rss`` counts a shared page in each process, ``pss`` divides it by those who share it."""

    rss: float
    pss: float
    private: float
    """What goes when the process ends."""

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss, self.private + other.private)


NONE = Memory(0, 0, 0)


def of(pid: int) -> Memory:
    """The process and its descendants; zero for one that has ended."""
    total = NONE
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(OSError):
                total += one(process.pid)
    return total


def one(pid: int) -> Memory:
    """One process, from its ``smaps_rollup``. Raises OSError where it has ended or may not be read."""
    kilobytes = {"Rss:": 0, "Pss:": 0, "Private_Clean:": 0, "Private_Dirty:": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, *rest = line.split()
        if name in kilobytes:
            kilobytes[name] = int(rest[0])
    rss, pss, *private = (value / 1024 for value in kilobytes.values())
    return Memory(rss, pss, sum(private))


def processor_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, ended ones too; zero for one that has ended itself."""
    seconds = 0.0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                # Sessions of Postgres end during a run: their parent has their time then.
                seconds += times.user + times.system + times.children_user + times.children_system
    return seconds
