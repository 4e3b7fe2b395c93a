"""Requests a second, latency and CPU a request of variants that take turns."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voicehelper_bench.figures import Report, median
from voicehelper_bench.interleave import interleaved, paired_ratio
from voicehelper_bench.router.load import Load, measure
from voicehelper_bench.router.processes import Running

MOST_WARM = 10_000
"""Of more tenants Envoy does not remember the tokens anyway."""


@dataclass(frozen=True)
class Variant:
    """Where the requests of one variant go, and how many tenants they are drawn from."""

    process: Running
    port: int
    tokens: Path
    drawn: int

    def run(self, seconds: float, order: str = "random") -> Load:
        """Measure once."""
        return measure(self.process, f"http://127.0.0.1:{self.port}", self.tokens, self.drawn, seconds, order=order)

    def warm(self, seconds: float) -> None:
        """Ask for every tenant that will be drawn, so that its token is known; that takes as long as it takes."""
        asked, wanted = 0.0, min(self.drawn, MOST_WARM)
        while asked < wanted and seconds < 300:
            asked = seconds * self.run(seconds, order="once").rps
            seconds *= max(2.0, 1.3 * wanted / max(asked, 1))


def _say(report: Report, name: str, loads: list[Load], peers: list[Load], peer: str | None) -> None:
    for metric, unit in (("rps", "req/s"), ("cpu", "µs of CPU/req"), ("p50", "ms"), ("p99", "ms")):
        values, others = ([getattr(load, metric) for load in each] for each in (loads, peers))
        ratio = paired_ratio(values, others) if peer else None
        report.spread(f"{name}.{metric}", values, unit, peer=peer, ratio=ratio)
    cpu, others = [load.cpu for load in loads], [load.cpu for load in peers]
    # Requests a second of a core that the router has for itself, whatever the load generator was able to do.
    ratio = paired_ratio(others, cpu) if peer else None
    report.add(f"{name}.per_core", 1e6 / median(cpu), "req/CPU-s", peer=peer, ratio=ratio, runs=len(loads))
    report.add(f"{name}.busy", 100 * median([load.busy for load in loads]), "% of its core", runs=len(loads))


def compare(
    report: Report, variants: Mapping[str, Variant], rounds: int, seconds: float, *, peer: str, peer_name: str
) -> None:
    """All variants in turn, each against the variant ``peer``; answers that are no success are counted as wrong."""
    for name, variant in variants.items():
        report.note(f"warms {name}")
        variant.warm(seconds)
    runs = {name: functools.partial(variant.run, seconds) for name, variant in variants.items()}
    samples = interleaved(runs, rounds, between=lambda name: report.note(f"measures {name}"))
    for name, loads in samples.items():
        _say(report, name, loads, samples[peer], None if name == peer else peer_name)
    wrong = sum(load.wrong for loads in samples.values() for load in loads)
    report.add(f"{peer}.wrong", wrong, "wrong answers, all variants", runs=rounds)
