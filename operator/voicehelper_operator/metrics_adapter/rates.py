"""Rates of counters that may begin anew at any time. Pure: time is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from voicehelper_operator.metrics_adapter.exposition import Reading


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second`` over the ``window`` that ended at ``at``; both in seconds, ``at`` by the reader's clock."""

    per_second: float
    window: float
    at: float


class Rates:
    """Of many counters, by key. ``stale`` is how old the last reading may be, in seconds."""

    def __init__(self, window: float, stale: float) -> None:
        self._window, self._stale = window, stale
        self._series: dict[str, _Series] = {}

    def take(self, key: str, reading: Reading, at: float) -> None:
        """A reading of the counter."""
        self._series.setdefault(key, _Series()).take(reading, at, self._window)

    def keep(self, keys: Collection[str]) -> None:
        """Forget all others."""
        for key in self._series.keys() - set(keys):
            del self._series[key]

    def of(self, key: str, now: float) -> Rate | None:
        """None where there are not two readings yet, or none of late: nobody is to scale by what is not known."""
        series = self._series.get(key)
        if series is None or len(series.points) < 2:
            return None
        (first, before), (last, counted) = series.points[0], series.points[-1]
        if now - last > self._stale or last <= first:
            return None
        return Rate((counted - before) / (last - first), last - first, last)


class _Series:
    """Times, and what was counted by then since the first reading, over all beginnings of the counter."""

    def __init__(self) -> None:
        self.points: deque[tuple[float, float]] = deque()
        self._last: Reading | None = None

    def take(self, reading: Reading, at: float, window: float) -> None:
        counted, last = (self.points[-1][1], self._last) if self.points else (0.0, None)
        if last is not None:
            anew = reading.total < last.total or reading.started != last.started
            counted += reading.total if anew else reading.total - last.total
        self._last = reading
        self.points.append((at, counted))
        while len(self.points) > 2 and self.points[1][0] <= at - window:
            self.points.popleft()
