"""Load by wrk: a closed loop, so latencies are those of a saturated router unless a pause is given."""

from __future__ import annotations

import json
import math
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from voicehelper_bench.router.processes import Running, cores

_SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk met. Times in ms; ``cpu`` is what the measured process used, microseconds a request; ``busy``
    is its share of a core."""

    rps: float
    p50: float
    p99: float
    wrong: int
    cpu: float
    busy: float


def command(
    url: str,
    tokens: Path,
    count: int,
    seconds: float,
    *,
    order: str = "random",
    connections: int = CONNECTIONS,
    pause: int = 0,
) -> list[str]:
    """wrk's command line, in whole seconds, as it wants them; requests use the first ``count`` lines of ``tokens``."""
    return [
        "wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "-s", str(_SCRIPT), url,
        "--", str(tokens), str(count), order, str(pause),
    ]  # fmt: skip


def environment(pause: int) -> dict[str, str]:
    """wrk asks for a delay only where the script defines one."""
    return {**os.environ, **({"LOAD_DELAY": "1"} if pause else {})}


def parse(output: str) -> dict[str, int]:
    """The line that ``load.lua`` writes. Raises RuntimeError where there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            found: dict[str, int] = json.loads(line)
            return found
    raise RuntimeError(f"wrk said nothing of use: {output[-500:]}")


def measure(target: Running, url: str, tokens: Path, count: int, seconds: float, *, order: str = "random") -> Load:
    """One run against ``target``."""
    before = target.cpu()
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores()[1])), *command(url, tokens, count, seconds, order=order)],
        env=environment(0), capture_output=True, text=True, check=True, timeout=seconds + 60,
    )  # fmt: skip
    cpu = target.cpu() - before
    said = parse(done.stdout)
    took = said["microseconds"] / 1e6
    return Load(
        rps=said["requests"] / took,
        p50=said["p50"] / 1e3,
        p99=said["p99"] / 1e3,
        wrong=said["refused"] + said["broken"],
        cpu=1e6 * cpu / max(said["requests"], 1),
        busy=cpu / took,
    )
