"""From applying a ``Tenant`` to ``Ready``: in a shared cell, with a cell of its own, ten at once, and 1,000.

``tenants.py`` applies, waits and deletes through the resource store; ``peer.py`` does the bare store work of the same
tenant by hand; ``resync.py`` counts what looking at everything again costs when nothing has changed.
"""

from __future__ import annotations

import asyncio

from voicehelper_embedded.throwaway import throwaway
from voicehelper_embedded.watched import Watched

from voicehelper_bench import memory
from voicehelper_bench.cells import make, until_ready
from voicehelper_bench.figures import Report, median, quantile
from voicehelper_bench.onboard import peer, resync
from voicehelper_bench.onboard.tenants import Onboarded, Tenants

CELL = "onboard"
"""The shared cell of the single tenants."""


def run(report: Report, *, quick: bool) -> None:
    """All parts, on a platform of their own."""
    single, dedicated, many = (5, 2, 30) if quick else (50, 50, 1000)
    with throwaway("vh-bench-onboard", examples=False) as platform:
        homes = [f"onboard-{number}" for number in range(-(-many // 500))]
        watched = Watched(platform)
        make(platform, [CELL, *homes], capacity=600)
        try:
            until_ready(platform, [CELL, *homes])
            asyncio.run(_all(report, Tenants(platform), watched, (single, dedicated, many), homes))
        finally:
            for name in (CELL, *homes):
                platform.cli("delete", "cell", name, check=False)


async def _all(
    report: Report, tenants: Tenants, watched: Watched, sizes: tuple[int, int, int], homes: list[str]
) -> None:
    single, dedicated, many = sizes
    async with tenants:
        try:
            await _shared(report, tenants, single)
            await _at_once(report, tenants)
            await _many(report, tenants, watched, many, homes)
            await _dedicated(report, tenants, dedicated)
        finally:
            await tenants.delete_all()


async def _shared(report: Report, tenants: Tenants, count: int) -> None:
    """One after the other, each beside the bare store work of one tenant."""
    found: list[Onboarded] = []
    bare: list[float] = []
    gone: list[float] = []
    async with peer.bare(tenants.platform, await tenants.cell_id(CELL)) as work:
        for number in range(count):
            bare.append(await work.once(f"bare-{number}"))
            found.append(await tenants.onboard(f"shared-{number}", "bench-shared", CELL))
            gone.append(await tenants.delete(f"shared-{number}"))
    seconds = [item.ready for item in found]
    report.add("shared.bare.p50", median(bare), "s", runs=count)
    report.add("shared.bare.p95", quantile(bare, 0.95), "s", runs=count)
    _spread(report, "shared.ready", seconds, f"the bare store work by hand: {median(bare):.3f} s", median(bare))
    _steps(report, "shared", found)
    _spread(report, "shared.gone", gone)


async def _dedicated(report: Report, tenants: Tenants, count: int) -> None:
    """One after the other, each beside the two starts of a cell's program that it cannot do without."""
    found: list[Onboarded] = []
    bare: list[float] = []
    gone: list[float] = []
    for number in range(count):
        bare.append(await peer.two_starts())
        found.append(await tenants.onboard(f"dedicated-{number}", "bench-dedicated", None))
        gone.append(await tenants.delete(f"dedicated-{number}"))
    seconds = [item.ready for item in found]
    report.add("dedicated.bare.p50", median(bare), "s", runs=count)
    limit = f"two bare starts of the cell's program (migrate, serve): {median(bare):.2f} s"
    _spread(report, "dedicated.ready", seconds, limit, median(bare))
    _steps(report, "dedicated", found)
    _spread(report, "dedicated.gone", gone)


async def _at_once(report: Report, tenants: Tenants) -> None:
    names = [f"burst-{number}" for number in range(10)]
    found = await asyncio.gather(*(tenants.onboard(name, "bench-shared", CELL) for name in names))
    _spread(report, "burst10.ready", [item.ready for item in found])
    await asyncio.gather(*(tenants.delete(name) for name in names))


async def _many(report: Report, tenants: Tenants, watched: Watched, count: int, homes: list[str]) -> None:
    """All at once; then the cost of a resync."""
    before = {name: memory.of(pid) for name, pid in watched.pids().items()}
    names = [f"many-{number}" for number in range(count)]
    seconds, ready = await tenants.many(names, "bench-shared", homes)
    report.add(f"many.{count}.seconds", seconds, "s", runs=1)
    report.add(f"many.{count}.rate", count / seconds, "tenants/s")
    _spread(report, f"many.{count}.ready", ready)
    for name, pid in watched.pids().items():
        grown = memory.of(pid).pss - before[name].pss if name in before else 0.0
        if name in ("control-plane", "xds", "router", "milvus", "postgres") or name.startswith("cell-"):
            report.add(f"many.{count}.memory.{_label(name)}", grown, "MiB")
    await resync.measure(report, tenants.platform, watched, count)
    await tenants.delete_all()


def _label(name: str) -> str:
    return "cell" if name.startswith("cell-") else name


def _spread(
    report: Report, metric: str, seconds: list[float], limit: str | None = None, bare: float | None = None
) -> None:
    for part, value in (("p50", median(seconds)), ("p95", quantile(seconds, 0.95))):
        ratio = value / bare if bare else None
        report.add(f"{metric}.{part}", value, "s", peer=limit, ratio=ratio, runs=len(seconds))


def _steps(report: Report, kind: str, found: list[Onboarded]) -> None:
    """Median of when each condition became true, from the apply on."""
    for condition in ("Accepted", "Placed", "SlicesReady", "IdentityReady", "Routable", "Ready"):
        at = [item.conditions[condition] for item in found if condition in item.conditions]
        if at:
            report.add(f"{kind}.step.{condition.lower()}", median(at), "s", runs=len(at))
