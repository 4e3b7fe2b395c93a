"""Fuzzes all parsers, or those that are named: ``python -m voicehelper_e2e.fuzz [--runs N] [--seed N] [NAME ...]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from voicehelper_e2e.fuzz.run import RUNS, fuzz
from voicehelper_e2e.fuzz.targets import CORPUS, TARGETS


def main() -> None:
    """Exit code 1 where a defect was found; the last line is the verdict."""
    parser = argparse.ArgumentParser(prog="voicehelper_e2e.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}; all when none is named")
    parser.add_argument("--runs", type=int, default=RUNS, help="inputs a target (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same inputs (default %(default)s)")
    arguments = parser.parse_args()
    names = arguments.names or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    found = []
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix=f"voicehelper-fuzz-{name}-"))
        outcome = fuzz(name, runs=arguments.runs, seed=arguments.seed, folder=folder)
        print(f"{name:12} {outcome.runs:7} inputs  {outcome.seconds:6.1f} s  {outcome.said}", flush=True)
        if outcome.defect:
            print(f"{outcome.output}\n  input: {outcome.defect}; when mended, keep it below {CORPUS / name}")
            found.append(name)
    if found:
        sys.exit(f"Defects in {', '.join(found)}.")
    print(f"No defect: {len(names)} targets bore {arguments.runs} inputs each.")


if __name__ == "__main__":
    main()
