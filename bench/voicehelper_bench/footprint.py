"""Memory by process with 2, 10 and 50 cells, what an idle cell costs, and how long one takes to start.

The peer of a cell is a bare Python process that has imported the same frameworks and does nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from voicehelper_embedded.throwaway import Platform, throwaway
from voicehelper_embedded.watched import Watched

from voicehelper_bench import memory
from voicehelper_bench.cells import cells, make, until_ready
from voicehelper_bench.figures import Report, median, quantile
from voicehelper_bench.memory import Memory

FRAMEWORKS = "uvicorn, uvloop, httptools, fastapi, grpc.aio, asyncpg, pydantic_settings, structlog, aiokafka"
_SETTLE_SECONDS = 20
_PEER = "bare Python with the same frameworks"


def run(report: Report, *, quick: bool) -> None:
    """Cells are made in steps; each step is measured when it has been idle for a while."""
    steps, starts = ((2, 4), 2) if quick else ((2, 10, 50), 10)
    with throwaway("vh-bench-footprint", examples=False) as platform:
        watched = Watched(platform)
        names: list[str] = []
        try:
            for count in steps:
                report.note(f"{count} cells")
                new = [f"footprint-{number}" for number in range(len(names), count)]
                names += new
                make(platform, new)
                until_ready(platform, new)
                if count == steps[0]:
                    _used(platform, new)
                time.sleep(_SETTLE_SECONDS)
                _processes(report, watched, count)
            _idle(report, watched)
            _starts(report, watched, starts)
        finally:
            for name in names:
                platform.cli("delete", "cell", name, check=False)


def _used(platform: Platform, names: list[str]) -> None:
    """Bring one tenant in, upload and ask, so that what is loaded at first use is counted as well."""
    from voicehelper_bench.cells import use

    use(platform, names[0])


def _processes(report: Report, watched: Watched, count: int) -> None:
    everything = memory.NONE
    of_cells: list[Memory] = []
    for name, pid in watched.pids().items():
        used = memory.of(pid)
        everything += used
        if name.startswith("cell-"):
            of_cells.append(used)
            continue
        report.add(f"cells.{count}.{name}.rss", used.rss, "MiB")
        report.add(f"cells.{count}.{name}.pss", used.pss, "MiB")
    supervisor = memory.of(watched.status()["supervisor"]["pid"])
    own = memory.one(watched.status()["supervisor"]["pid"]) if supervisor.rss else memory.NONE
    report.add(f"cells.{count}.supervisor.rss", own.rss, "MiB")
    report.add(f"cells.{count}.cell.rss", median([item.rss for item in of_cells]), "MiB", runs=len(of_cells))
    report.add(f"cells.{count}.cell.pss", median([item.pss for item in of_cells]), "MiB", runs=len(of_cells))
    report.add(f"cells.{count}.all.pss", everything.pss + own.pss, "MiB")


def _idle(report: Report, watched: Watched) -> None:
    """An idle cell beside the bare process, in the same moment."""
    found = [memory.of(pid) for pid in cells(watched).values()]
    with _bare() as pid:
        bare = memory.one(pid)
    rss, pss = median([item.rss for item in found]), median([item.pss for item in found])
    report.add("cell.idle", rss, "MiB", peer=f"{_PEER}: {bare.rss:.0f} MiB", ratio=rss / bare.rss, runs=len(found))
    report.add("cell.idle.max", max(item.rss for item in found), "MiB", runs=len(found))
    report.add("cell.idle.pss", pss, "MiB", peer=f"{_PEER}: {bare.pss:.0f} MiB", ratio=pss / bare.pss, runs=len(found))
    report.add("cell.idle.private", median([item.private for item in found]), "MiB", runs=len(found))
    report.add("bare.rss", bare.rss, "MiB")


@contextmanager
def _bare() -> Iterator[int]:
    program = f"import sys, {FRAMEWORKS}\nprint('ready', flush=True)\nsys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdin
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()


def _starts(report: Report, watched: Watched, count: int) -> None:
    """A cell is killed; from its new process to the first answer of its readiness, beside a bare start."""
    seconds, bare = [], []
    for number in range(count):
        name = sorted(cells(watched))[number % len(cells(watched))]
        started = time.perf_counter()
        with _bare():
            bare.append(time.perf_counter() - started)
        seconds.append(_restart(watched, name))
    p50 = median(seconds)
    report.add("cell.start.p50", p50, "s", peer=f"{_PEER}: {median(bare):.2f} s", ratio=p50 / median(bare), runs=count)
    report.add("cell.start.p95", quantile(seconds, 0.95), "s", runs=count)
    report.add("bare.start.p50", median(bare), "s", runs=count)


def _restart(watched: Watched, name: str) -> float:
    """Seconds from the start of the new process until it says that it is ready."""
    from voicehelper_bench.cells import seconds_to_ready

    old = watched.kill(name)
    seconds = seconds_to_ready(watched, name, old)
    watched.until_replaced(name, old)
    return seconds
