"""Runs benchmarks: ``python -m voicehelper_bench [--quick] [--keep] [--out FILE] [NAME ...]``.

Prints one JSON line per figure. A run of all that is not quick is kept in ``bench/results.jsonl``, benchmark by
benchmark as each ends, and ``docs/benchmarks.md`` is written from it; ``--keep`` does so for a run of some.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from voicehelper_bench import BENCHES, page, results
from voicehelper_bench.figures import Figure, Report
from voicehelper_bench.machine import begin, describe

LIMIT_MINUTES = 60.0


@contextlib.contextmanager
def _bounded(minutes: float) -> Iterator[None]:
    """Raises TimeoutError in the body after ``minutes``, so that it still cleans up."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not ready within {minutes:g} minutes")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="voicehelper_bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and smaller sizes: shows that it works")
    parser.add_argument("--keep", action="store_true", help="keep the figures of the named benchmarks too")
    parser.add_argument("--out", type=Path, help="add the lines to this file too")
    parser.add_argument(
        "--limit", type=float, default=LIMIT_MINUTES, metavar="MINUTES", help="for each benchmark (%(default)g)"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    if arguments.quick and arguments.keep:
        parser.error("figures of a quick run are not kept")
    return arguments


def _run(report: Report, *, quick: bool) -> None:
    report.note("starts")
    begin(report)
    importlib.import_module(f"voicehelper_bench.{report.bench}").run(report, quick=quick)


def main() -> None:
    """Exit code 1 where a benchmark could not run."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that what was started is removed
    keep = arguments.keep or not (arguments.names or arguments.quick)
    out: TextIO | None = arguments.out.open("a") if arguments.out else None

    def measure(bench: str, run: Callable[[Report], None]) -> None:
        figures: list[Figure] = []

        def take(figure: Figure) -> None:
            figures.append(figure)
            if out is not None:
                print(figure.line(), file=out, flush=True)

        run(Report(bench, sink=take))
        if keep:
            results.replace(bench, figures, (page.MACHINE, *BENCHES))

    failed = []
    with out or contextlib.nullcontext():
        measure(page.MACHINE, describe)
        for name in arguments.names or BENCHES:
            try:
                with _bounded(arguments.limit):
                    measure(name, functools.partial(_run, quick=arguments.quick))
            except Exception:  # the others can still be measured
                print(f"# {name}: failed\n{traceback.format_exc()}", file=sys.stderr, flush=True)
                failed.append(name)
    if keep:
        page.generate(results.load())
    if failed:
        sys.exit(f"could not be measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
