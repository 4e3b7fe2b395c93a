"""How soon regressions are found, and how often nothing is found that is none. Prints one JSON line per figure.

``python -m voicehelper_operator.releases.judgement.tests.simulate [--runs 10000] [--seed 1] [--alpha A] [NAME ...]``

All runs of a figure go on side by side as arrays; ``test_simulation`` compares them with the package itself.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicehelper_operator.releases.judgement.limit import Limit
from voicehelper_operator.releases.judgement.mixture import LOG_WEIGHTS, RATIOS, Direction

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
STAGE = 7200.0  # seconds


@dataclass(frozen=True)
class Traffic:
    """Requests per second and shares of bad ones at a time in seconds; ``every`` is the seconds between scrapes."""

    canary: Callable[[float], float]
    peers: Callable[[float], float]
    p1: Callable[[float], float]
    p0: Callable[[float], float]
    every: float = 5.0
    until: float = STAGE
    poisson: bool = True
    """Whether the number of requests is random, too."""


def steady(canary: float, peers: float, p1: float, p0: float, every: float = 5.0, until: float = STAGE) -> Traffic:
    """Traffic of which nothing changes."""
    return Traffic(lambda _: canary, lambda _: peers, lambda _: p1, lambda _: p0, every, until)


def scrapes(traffic: Traffic, runs: int, seed: int) -> Iterator[tuple[float, Counts, Counts, Counts, Counts]]:
    """Time in seconds, requests and bad ones of the canary, requests and bad ones of the peers; (runs,) each."""
    random = np.random.default_rng(seed)
    for step in range(1, round(traffic.until / traffic.every) + 1):
        at = step * traffic.every
        means = traffic.canary(at) * traffic.every, traffic.peers(at) * traffic.every
        n1, n0 = (random.poisson(mean, runs) if traffic.poisson else np.full(runs, round(mean)) for mean in means)
        yield at, n1, random.binomial(n1, traffic.p1(at)), n0, random.binomial(n0, traffic.p0(at))


class PeerEvidence:
    """``evidence.Evidence`` of many runs; (runs, alternatives)."""

    def __init__(self, direction: Direction, limit: Limit, runs: int) -> None:
        self._limit = limit
        self._ratios, self._weights = np.array(RATIOS[direction]), np.array(LOG_WEIGHTS[direction])
        self._log_e = np.zeros((runs, len(self._ratios)))

    def add(self, n1: Counts, x1: Counts, n0: Counts, x0: Counts) -> Floats:
        """The logarithm of the e-value by run, (runs,), with one more batch."""
        both = (n1 > 0) & (n0 > 0)
        weighted = self._limit.factor * n1
        part = np.divide(weighted, weighted + n0, out=np.zeros(len(n1)), where=both)[:, None]
        gain = self._ratios - 1
        excess = gain * (1 - part) / (1 + gain * part)
        added = x1[:, None] * np.log(self._ratios) - (x1 + x0)[:, None] * np.log1p(gain * part)
        self._log_e += np.where(both[:, None], added - self._limit.margin * n1[:, None] * excess, 0)
        return log_sum_exp(self._log_e + self._weights)


class FixedEvidence:
    """``threshold.log_e`` of many runs."""

    def __init__(self, direction: Direction, limit: float, runs: int) -> None:
        self._ratios, self._weights = np.array(RATIOS[direction]), np.array(LOG_WEIGHTS[direction])
        self._limit = limit
        self._n, self._x = np.zeros(runs), np.zeros(runs)

    def add(self, n1: Counts, x1: Counts, n0: Counts, x0: Counts) -> Floats:
        """The logarithm of the e-value by run, (runs,), with one more batch of the canary."""
        self._n += n1
        self._x += x1
        log_e = self._x[:, None] * np.log(self._ratios) - self._n[:, None] * np.log1p(self._limit * (self._ratios - 1))
        return log_sum_exp(log_e + self._weights)


def log_sum_exp(values: Floats) -> Floats:
    """Over the last axis."""
    greatest = values.max(axis=-1)
    return np.asarray(greatest + np.log(np.exp(values - greatest[..., None]).sum(axis=-1)))


def first_times(traffic: Traffic, evidence: PeerEvidence | FixedEvidence, alpha: float, runs: int, seed: int) -> Floats:
    """When the e-value reaches 1/alpha first, in seconds by run, (runs,); infinite where it does not."""
    found = np.full(runs, np.inf)
    for at, n1, x1, n0, x0 in scrapes(traffic, runs, seed):
        found[(evidence.add(n1, x1, n0, x0) >= -np.log(alpha)) & np.isinf(found)] = at
        if np.isfinite(found).all():
            break
    return found


def _drift(low: float, high: float) -> Callable[[float], float]:
    return lambda at: low + (high - low) * (0.5 - 0.5 * np.cos(at / 600))


def _outage(usual: float, bad: float) -> Callable[[float], float]:
    return lambda at: bad if 1800 <= at < 2100 else usual


def figures() -> dict[str, tuple[str, Traffic, Direction, Limit | float, float]]:
    """By name: what is measured, on which traffic, with which test and alpha."""
    exact, margin = Limit(), Limit(margin=0.005)
    ramp = Traffic(_drift(5, 100), _drift(900, 100), _drift(0.0005, 0.02), _drift(0.0005, 0.02))
    outage = Traffic(lambda _: 100, _drift(100, 900), _outage(0.001, 0.5), _outage(0.001, 0.5))
    return {
        "found-10x-equal": ("found", steady(100, 100, 0.01, 0.001, 1, 120), "worse", exact, 0.001),
        "found-10x-peers-9x": ("found", steady(100, 900, 0.01, 0.001, 1, 120), "worse", exact, 0.001),
        "found-3x-peers-9x": ("found", steady(100, 900, 0.003, 0.001, 1, 600), "worse", exact, 0.001),
        "found-all-bad-equal": ("found", steady(100, 100, 1, 0.001, 1, 60), "worse", exact, 0.001),
        "found-10x-quiet-cell": ("found", steady(1, 9, 0.01, 0.001, 5), "worse", exact, 0.001),
        "found-slow-10-against-5-percent": ("found", steady(100, 100, 0.1, 0.05, 1, 120), "worse", exact, 0.001),
        "found-2-percent-of-1": ("found", steady(100, 100, 0.02, 0, 1, 600), "worse", 0.01, 0.001),
        "aa-equal-0.1-percent": ("false", steady(100, 100, 0.001, 0.001), "worse", exact, 0.001),
        "aa-equal-1-percent": ("false", steady(100, 100, 0.01, 0.01), "worse", exact, 0.001),
        "aa-peers-9x-0.1-percent": ("false", steady(100, 900, 0.001, 0.001), "worse", exact, 0.001),
        "aa-quiet-cell-5-percent": ("false", steady(0.2, 0.4, 0.05, 0.05), "worse", exact, 0.001),
        "aa-changing-split-and-errors": ("false", ramp, "worse", exact, 0.001),
        "aa-outage-of-all": ("false", outage, "worse", exact, 0.001),
        "aa-slow-50-percent": ("false", steady(100, 100, 0.5, 0.5), "worse", exact, 0.001),
        "at-limit-1-percent": ("false", steady(100, 100, 0.01, 0, 5), "worse", 0.01, 0.001),
        "false-success-at-margin": ("false", steady(100, 100, 0.006, 0.001), "better", margin, 0.01),
        "false-success-at-limit": ("false", steady(100, 100, 0.01, 0), "better", 0.01, 0.01),
        "success-aa-equal": ("found", steady(100, 100, 0.001, 0.001, 1, 600), "better", margin, 0.01),
        "success-aa-peers-9x": ("found", steady(100, 900, 0.001, 0.001, 1, 600), "better", margin, 0.01),
        "success-0.1-percent-of-1": ("found", steady(100, 100, 0.001, 0, 1, 600), "better", 0.01, 0.01),
    }


def measure(name: str, runs: int, seed: int, alpha: float | None = None) -> dict[str, object]:
    """One figure, with its own alpha or another. Times are in seconds of the simulated stage, shares are of runs."""
    kind, traffic, direction, limit, usual = figures()[name]
    alpha = alpha or usual
    begun = time.monotonic()
    evidence = (
        PeerEvidence(direction, limit, runs) if isinstance(limit, Limit) else FixedEvidence(direction, limit, runs)
    )
    found = first_times(traffic, evidence, alpha, runs, seed)
    line: dict[str, object] = {"figure": name, "runs": runs, "seed": seed, "alpha": alpha}
    if kind == "found":
        quantiles = np.quantile(found, [0.5, 0.95, 0.99], method="inverted_cdf")
        line |= dict(zip(("p50_s", "p95_s", "p99_s"), (float(value) for value in quantiles), strict=True))
        line["within_30_s"] = float(np.mean(found <= 30))
    else:
        line |= {"stage_s": traffic.until, "scrape_s": traffic.every, "false": float(np.mean(np.isfinite(found)))}
    return line | {"took_s": round(time.monotonic() - begun, 1)}


def main() -> None:
    """Print the figures that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(figures())}")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alpha", type=float, help="instead of the figure's own")
    arguments = parser.parse_args()
    for name in arguments.names or figures():
        print(json.dumps(measure(name, arguments.runs, arguments.seed, arguments.alpha)), flush=True)


if __name__ == "__main__":
    main()
