"""Figures: what a benchmark says, one JSON line each."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` in ``unit`` over ``runs`` runs; ``ratio`` is value / ``peer``'s value of the same run.

    Facts such as the model of the CPU are text.
    """

    bench: str
    metric: str
    value: float | str
    unit: str
    peer: str | None = None
    ratio: float | None = None
    runs: int = 1
    runtime: str | None = None
    """What ran the workloads, where it was not the product: ``stub``."""

    def line(self) -> str:
        """As JSON."""
        fields = asdict(self)
        if self.runtime is None:
            del fields["runtime"]
        return json.dumps(fields, ensure_ascii=False)


def quantile(values: Sequence[float], q: float) -> float:
    """Nearest rank, ``0 <= q <= 1``. Raises IndexError for no values."""
    return sorted(values)[min(int(q * len(values)), len(values) - 1)]


def seconds(begin: datetime | None, end: datetime | None) -> float:
    """Between two times that were both reached. Raises AssertionError where one was not."""
    assert begin is not None
    assert end is not None
    return (end - begin).total_seconds()


def median(values: Sequence[float]) -> float:
    """The middle value. Raises statistics.StatisticsError for no values."""
    return statistics.median(values)


class Report:
    """Collects the figures of one benchmark and prints each as it comes; notes go to stderr.

    ``stream`` is standard output unless given; ``sink`` gets each figure as it is printed (rounded).
    """

    def __init__(self, bench: str, stream: TextIO | None = None, sink: Callable[[Figure], None] | None = None) -> None:
        self.bench, self._stream, self._sink = bench, stream, sink
        self.runtime: str | None = None
        """Said in each line from now on."""
        self.figures: list[Figure] = []

    def add(
        self,
        metric: str,
        value: float,
        unit: str,
        *,
        peer: str | None = None,
        ratio: float | None = None,
        runs: int = 1,
    ) -> Figure:
        """Add a figure; ``metric`` is a path of words such as ``scoped.100000.rps``."""
        return self._keep(Figure(self.bench, metric, value, unit, peer, ratio, runs))

    def spread(
        self, metric: str, values: Sequence[float], unit: str, *, peer: str | None = None, ratio: float | None = None
    ) -> Figure:
        """Add the median of repeated runs as ``metric``, and the quartiles as ``metric.q1`` and ``metric.q3``.

        Raises IndexError for no values.
        """
        self.add(f"{metric}.q1", quantile(values, 0.25), unit, runs=len(values))
        self.add(f"{metric}.q3", quantile(values, 0.75), unit, runs=len(values))
        return self.add(metric, median(values), unit, peer=peer, ratio=ratio, runs=len(values))

    def fact(self, metric: str, text: str) -> Figure:
        """Add something that is known, not measured: a version, a setting."""
        return self._keep(Figure(self.bench, metric, text, "text"))

    def _keep(self, figure: Figure) -> Figure:
        self.figures.append(figure)
        value = figure.value if isinstance(figure.value, str) else round(figure.value, 4)
        rounded = replace(
            figure, value=value, ratio=None if figure.ratio is None else round(figure.ratio, 4), runtime=self.runtime
        )
        print(rounded.line(), file=self._stream, flush=True)
        if self._sink is not None:
            self._sink(rounded)
        return figure

    def note(self, text: str) -> None:
        """Progress for people."""
        print(f"# {self.bench}: {text}", file=sys.stderr, flush=True)
