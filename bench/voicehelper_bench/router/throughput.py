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
    """Where the requests of one variant go, how many tenants they are drawn from, and which variant is its peer."""

    process: Running
    port: int
    tokens: Path
    drawn: int
    peer: str | None = None

    def run(self, seconds: float, order: str = "random") -> Load:
        """Measure once."""
        return measure(self.process, f"http://127.0.0.1:{self.port}", self.tokens, self.drawn, seconds, order=order)

    def warm(self, seconds: float) -> None:
        """Ask for every tenant that will be drawn, so that its token is known; that takes as long as it takes."""
        asked, wanted = 0.0, min(self.drawn, MOST_WARM)
        while asked < wanted and seconds < 300:
            asked = seconds * self.run(seconds, order="once").rps
            seconds *= max(2.0, 1.3 * wanted / max(asked, 1))


def _say(report: Report, name: str, loads: list[Load], peers: list[Load] | None, peer: str) -> None:
    said = peer if peers else None
    for metric, unit in (("rps", "req/s"), ("cpu", "µs of CPU/req"), ("p50", "ms"), ("p99", "ms")):
        values = [getattr(load, metric) for load in loads]
        ratio = paired_ratio(values, [getattr(load, metric) for load in peers]) if peers else None
        report.spread(f"{name}.{metric}", values, unit, peer=said, ratio=ratio)
    cpu = [load.cpu for load in loads]
    # Requests a second of a core that the router has for itself, whatever the load generator was able to do.
    ratio = paired_ratio([load.cpu for load in peers], cpu) if peers else None
    report.add(f"{name}.per_core", 1e6 / median(cpu), "req/CPU-s", peer=said, ratio=ratio, runs=len(loads))
    report.add(f"{name}.busy", 100 * median([load.busy for load in loads]), "% of its core", runs=len(loads))


def compare(
    report: Report, variants: Mapping[str, Variant], rounds: int, seconds: float, *, peer: str, wrong: str
) -> None:
    """All variants in turn, each against its peer (what that is says ``peer``); ``wrong`` names the figure of answers
    that are no success.
    """
    for name, variant in variants.items():
        report.note(f"warms {name}")
        variant.warm(seconds)
    runs = {name: functools.partial(variant.run, seconds) for name, variant in variants.items()}
    samples = interleaved(runs, rounds, between=lambda name: report.note(f"measures {name}"))
    for name, variant in variants.items():
        _say(report, name, samples[name], samples[variant.peer] if variant.peer else None, peer)
    failed = sum(load.wrong for loads in samples.values() for load in loads)
    report.add(wrong, failed, "wrong answers, all variants", runs=rounds)
