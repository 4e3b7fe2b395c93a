"""Sizes and variants in turn, and what is said of them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from voicehelper_bench.figures import Report, quantile
from voicehelper_bench.operator.leg import Found, measure
from voicehelper_bench.operator.process import NAIVE, OURS, Variant

SIZES, SINGLES = (1000, 10_000), 50
QUICK_SIZES, QUICK_SINGLES = (200,), 10
MOST_SECONDS = 600.0
"""A peer that would take longer to create and delete as many is left out."""


def run(report: Report, *, quick: bool) -> None:
    """All sizes, each of both variants one after the other."""
    report.runtime = "stub"
    singles = QUICK_SINGLES if quick else SINGLES
    slowest = 0.0  # seconds a tenant
    with tempfile.TemporaryDirectory(prefix="vh-bench-operator-") as folder:
        for size in QUICK_SIZES if quick else SIZES:
            peer = None
            if slowest * size <= MOST_SECONDS:
                peer = _leg(report, NAIVE, size, singles, Path(folder))
                slowest = (peer.creating + peer.deleting) / size
                _say(report, NAIVE, size, peer, None)
            else:
                report.note(f"{NAIVE.label} are left out with {size} tenants: about {slowest * size:.0f} s")
            _say(report, OURS, size, _leg(report, OURS, size, singles, Path(folder)), peer)


def _leg(report: Report, variant: Variant, size: int, singles: int, folder: Path) -> Found:
    report.note(f"{variant.label}, {size} tenants")
    found = asyncio.run(measure(variant, size, singles, folder))
    report.note(f"created in {found.creating:.1f} s, deleted in {found.deleting:.1f} s; asked: {found.asked}")
    report.note(f"resyncs asked: {found.resync}; restart asked: {found.restart}")
    return found


def _say(report: Report, variant: Variant, size: int, found: Found, peer: Found | None) -> None:
    values, others = _figures(size, found), _figures(size, peer) if peer else {}
    for metric, (value, unit, runs) in values.items():
        other = others.get(metric)
        label = f"{NAIVE.label}: {_short(other[0])} {other[1]}" if other else None
        ratio = value / other[0] if other and other[0] else None
        report.add(f"{size}.{variant.name}.{metric}", value, unit, peer=label, ratio=ratio, runs=runs)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _figures(size: int, found: Found) -> dict[str, tuple[float, str, int]]:
    """Value, unit and number of observations by metric."""
    figures = {
        "lifecycles": (size / (found.creating + found.deleting), "lifecycles/s", 1),
        "created": (size / found.creating, "tenants/s", 1),
        "deleted": (size / found.deleting, "tenants/s", 1),
        "cpu": (1000 * found.cpu / size, "ms of CPU/lifecycle", 1),
        "servers.cpu": (1000 * found.servers_cpu / size, "ms of CPU/lifecycle", 1),
        "writes": (found.asked.writes / size, "writes/lifecycle", 1),
        "reads": (found.asked.reads / size, "reads/lifecycle", 1),
        "rss.peak": (found.peak, "MiB", 1),
        "rss.settled": (found.settled, "MiB", 1),
        "resync.writes": (float(found.resync.writes), "writes", 1),
        "resync.cpu": (found.resync_cpu, "s", 1),
        "restart.quiet": (found.restarted, "s", 1),
        "restart.writes": (float(found.restart.writes), "writes", 1),
        "restart.cpu": (found.restart_cpu, "s", 1),
        "restart.rss.peak": (found.restart_peak, "MiB", 1),
    }
    if found.synced is not None:
        figures["restart.synced"] = (found.synced, "s", 1)
    for name, seconds in (("routable", found.routable), ("single", found.one_by_one), ("gone", found.gone)):
        for part, q in (("p50", 0.5), ("p95", 0.95)):
            figures[f"{name}.{part}"] = (quantile(seconds, q), "s", len(seconds))
    return figures
