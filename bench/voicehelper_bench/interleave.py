"""Comparing under the same conditions: machines vary by 2x from minute to minute, so variants take turns.

samples = interleaved({"bare": bare, "scoped": scoped}, rounds=7)
ratio = paired_ratio(samples["scoped"], samples["bare"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from voicehelper_bench.figures import median

T = TypeVar("T")


def interleaved(
    variants: Mapping[str, Callable[[], T]], rounds: int, between: Callable[[str], None] | None = None
) -> dict[str, list[T]]:
    """Measure A, B, C, then C, B, A, and so on (a slow drift then weighs on all alike); results by variant.

    ``between`` is called with the name before each measurement.
    """
    results: dict[str, list[T]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            if between is not None:
                between(name)
            results[name].append(variants[name]())
    return results


def paired_ratio(values: Sequence[float], peers: Sequence[float]) -> float:
    """Median of the ratios of the same round. Raises ValueError where the rounds are not the same number or none."""
    if len(values) != len(peers) or not values:
        raise ValueError(f"{len(values)} values cannot be paired with {len(peers)}")
    return median([value / peer for value, peer in zip(values, peers, strict=True)])
