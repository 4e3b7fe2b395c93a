"""Runs a worker and reads what it found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from voicehelper_e2e.fuzz.targets import CORPUS

RUNS = 10_000
PATIENCE_SECONDS = 600
_FORK = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
"""A process begins with the peak memory of who started it, and the worker would count it; a shell has little."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``defect`` is the input that a target did not bear, with the worker's ``output``."""

    runs: int
    seconds: float
    said: str
    defect: Path | None = None
    output: str = ""


def fuzz(name: str, *, runs: int, seed: int, folder: Path) -> Outcome:
    """Feed ``runs`` inputs to a target; ``folder`` takes new inputs. Raises RuntimeError where the worker fails."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    started = time.monotonic()
    done = subprocess.run(
        [
            *_FORK, sys.executable, "-m", "voicehelper_e2e.fuzz.worker", name, f"-runs={runs}", f"-seed={seed}",
            f"-artifact_prefix={folder}/", str(corpus), str(CORPUS / name),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - started
    output = (done.stdout + done.stderr)[-6000:]
    defects = sorted(path for path in folder.iterdir() if path.is_file())
    if defects:
        return Outcome(runs, seconds, "DEFECT", defects[0], output)
    finished = re.search(r"Done (\d+) runs", output)
    if done.returncode != 0 or finished is None:
        raise RuntimeError(f"the worker of '{name}' ended with {done.returncode}:\n{output}")
    covered = re.findall(r"cov: (\d+)", output)
    return Outcome(int(finished[1]), seconds, f"borne, {covered[-1] if covered else 0} branches")
