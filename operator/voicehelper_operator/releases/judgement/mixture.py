"""The alternatives that a test bets on, and sums of numbers that are only held as logarithms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

Direction = Literal["worse", "better"]

# A state in a resource holds one number by alternative: who changes them raises this, and such states begin anew.
VERSION = 1

# Ratio of the alternative's rate to the limit's, and its weight. An e-process that is averaged over alternatives is
# one, too; it loses log(1 / weight) against the one that guessed right. The weights of "worse" are what finds a tenfold
# rate of errors soonest where the canary and its peers have the same traffic (the best single ratio is 5: it loses
# least when luck is bad); the small ones, which need much traffic anyway, reach regressions of some percent.
_WORSE = (
    (1.02, 0.005), (1.05, 0.005), (1.1, 0.01), (1.2, 0.02), (1.5, 0.03), (2.0, 0.05), (3.0, 0.1), (5.0, 0.65),
    (10.0, 0.08), (30.0, 0.03), (100.0, 0.02),
)  # fmt: skip
_BETTER = (
    (0.99, 0.03), (0.98, 0.03), (0.95, 0.04), (0.9, 0.1), (0.8, 0.1), (0.65, 0.15), (0.5, 0.15), (0.35, 0.15),
    (0.2, 0.1), (0.1, 0.1), (0.02, 0.05),
)  # fmt: skip
RATIOS: dict[Direction, tuple[float, ...]] = {
    "worse": tuple(ratio for ratio, _ in _WORSE),
    "better": tuple(ratio for ratio, _ in _BETTER),
}
LOG_WEIGHTS: dict[Direction, tuple[float, ...]] = {
    "worse": tuple(math.log(weight) for _, weight in _WORSE),
    "better": tuple(math.log(weight) for _, weight in _BETTER),
}


def log_sum_exp(values: Sequence[float]) -> float:
    """log(sum(exp(values))), without overflow; minus infinity of none."""
    greatest = max(values, default=-math.inf)
    if math.isinf(greatest):
        return greatest
    return greatest + math.log(math.fsum(math.exp(value - greatest) for value in values))


def log_mean_exp(values: Sequence[float]) -> float:
    """log of the mean of e-values (which is one) from their logarithms. Raises ValueError of none."""
    return log_sum_exp(values) - math.log(len(values))


def mixed(direction: Direction, logs: Iterable[float]) -> float:
    """Natural logarithm of the mixture's e-value; ``logs`` are those of the alternatives, in the order of ``RATIOS``.

    Raises ValueError where their number is another.
    """
    return log_sum_exp([weight + log for weight, log in zip(LOG_WEIGHTS[direction], logs, strict=True)])
