"""Metrics of releases."""

from __future__ import annotations

from collections import Counter as Counts

from prometheus_client import Counter, Gauge
from voicehelper_crds import CellRelease

from voicehelper_operator.releases.progress import entries

CELLS = Gauge("release_cells", "Cells of a release that is not over, by phase", ["release", "phase"])
HAPPENINGS = Counter("release_happenings", "What happened to releases, as their events", ["reason"])


class ReleaseMetrics:
    """Keeps the gauges to what the status says; those of a release that is over or gone are removed."""

    def __init__(self) -> None:
        self._shown: dict[str, set[str]] = {}

    def show(self, release: CellRelease) -> None:
        """As it is now."""
        name, status = release.metadata.name, release.status
        counts = Counts[str]() if status.finished_at else Counts[str](entry.phase for _, entry in entries(status))
        for phase in self._shown.pop(name, set()) - counts.keys():
            CELLS.remove(name, phase)
        for phase, count in counts.items():
            CELLS.labels(name, phase).set(count)
        if counts:
            self._shown[name] = set(counts)

    def forget(self, name: str) -> None:
        """It is gone."""
        for phase in self._shown.pop(name, set()):
            CELLS.remove(name, phase)
