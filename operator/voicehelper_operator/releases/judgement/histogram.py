"""Histograms as Prometheus has them: how many requests took at most so long."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from voicehelper_operator.releases.judgement.counts import Counts, broken


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative, as a query told it: it may be broken. The bucket ``+Inf`` is the ``total``."""

    bounds: tuple[float, ...]
    """Upper bounds of the buckets in seconds, ascending, without +Inf."""
    counts: tuple[float, ...]
    """Requests that took at most as long, by bound."""
    total: float
    """All requests."""

    def slower(self, bound: float) -> Counts:
        """All requests, and those that took longer than ``bound``, which must be one of the buckets' (ValueError)."""
        return Counts(self.total, self.total - self.counts[self.bounds.index(bound)])


def problem(histogram: Histogram, bounds: Sequence[float], whose: str) -> str | None:
    """Why it cannot be, or cannot be asked about ``bounds``."""
    if len(histogram.counts) != len(histogram.bounds):
        return f"the histogram of {whose} has {len(histogram.bounds)} bounds and {len(histogram.counts)} counts"
    cells = (*histogram.counts, histogram.total)
    for count in cells:
        if (reason := broken(count, f"requests of {whose}")) is not None:
            return reason
    bounded = (0.0, *histogram.bounds, math.inf)
    if not all(below < above for below, above in itertools.pairwise(bounded)):
        return f"the bounds of the histogram of {whose} do not ascend from 0"
    if any(after < before for before, after in itertools.pairwise(cells)):
        return f"the histogram of {whose} is not cumulative"
    for bound in bounds:
        if bound not in histogram.bounds:
            return f"the histogram of {whose} has no bucket of {bound:g} s"
    return None


def bounds_at(histogram: Histogram, quantiles: Sequence[float] = (0.5, 0.95, 0.99)) -> tuple[float, ...]:
    """The upper bounds of the buckets that the quantiles (0 to 1) are in, each once, ascending; in seconds.

    A quantile above all finite bounds has the greatest of them. The histogram is to be one of the peers before the
    stage: what chooses the bounds must not be judged by them. Raises ValueError where it is broken or has no requests.
    """
    reason = problem(histogram, (), "the peers")
    if reason is not None or not histogram.bounds or not histogram.total:
        raise ValueError(reason or "the histogram of the peers has no requests or no buckets to choose from")
    chosen = set()
    for quantile in quantiles:
        within = (
            bound
            for bound, count in zip(histogram.bounds, histogram.counts, strict=True)
            if count >= quantile * histogram.total
        )
        chosen.add(next(within, histogram.bounds[-1]))
    return tuple(sorted(chosen))
