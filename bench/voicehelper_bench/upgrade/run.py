"""The benchmark: cells are made, then a good release, the bad one by waves, and the bad one all at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell
from voicehelper_embedded.throwaway import Platform, tenant, throwaway

from voicehelper_bench.cells import make, until_ready
from voicehelper_bench.figures import Report, seconds
from voicehelper_bench.site import resources
from voicehelper_bench.upgrade.load import Load, asking
from voicehelper_bench.upgrade.rollout import Ended, broken, install, rolled_out

_GOOD, _BAD = "rbbbbbbbbbb1", "rbbbbbbbbbb2"
_SETTLE_SECONDS = 5.0
_AT_ONCE = "all at once, same run"


def run(report: Report, *, quick: bool) -> None:
    """Half of the cells are shared ones with one tenant, half are dedicated."""
    count = 4 if quick else 20
    with throwaway("vh-bench-upgrade", examples=False) as platform:
        _follow_rollouts(platform)
        tenants = _inhabited(report, platform, count)
        asyncio.run(_measured(report, platform, tenants))


def _follow_rollouts(platform: Platform) -> None:
    """Cells go on with their release until a CellRelease takes them along."""
    told = {"control-plane": {"operator": {"cells_follow": "rollouts"}}}
    (platform.home / "settings.json").write_text(json.dumps(told))
    for action in ("stop", "start"):
        platform.cli(action, "control-plane")


def _inhabited(report: Report, platform: Platform, count: int) -> list[str]:
    """Cells with a tenant each; the tenants' names."""
    shared = [f"upgrade-{number}" for number in range(count // 2)]
    make(platform, shared)
    until_ready(platform, shared)
    report.note(f"{len(shared)} shared cells are ready")
    tenants = {f"{cell}-user": tenant(f"{cell}-user", "bench-shared", placement={"cell": cell}) for cell in shared}
    for number in range(count // 2, count):
        tenants[f"upgrade-{number}"] = tenant(f"upgrade-{number}", "bench-dedicated")
    platform.cli("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, tenants.values())))
    for name in tenants:
        platform.cli("wait", f"tenant/{name}", "--for", "condition=Ready", "--timeout", "300s", timeout=360)
    report.note(f"{count} tenants are ready")
    return [*tenants]


async def _measured(report: Report, platform: Platform, tenants: list[str]) -> None:
    count = len(tenants)
    report.add("cells", count, "cells")
    async with resources(platform) as store:
        (current,) = await _running(store)
        install(platform, current, _GOOD)
        install(platform, current, _BAD, broken)
        site = _Site(report, platform, tenants, store)
        report.add("good.concurrency", abreast := max(1, count // 5), "cells at once")
        load, good = await site.under_load("good", _GOOD, _at_once(abreast))
        assert good.status.phase == "Complete", good.status
        taken = [seconds(entry.begun_at, entry.since) for entry in good.cells]
        report.spread("good.cell", taken, "s")
        report.add("good.all", seconds(good.status.started_at, good.status.finished_at), "s")
        _asked(report, "good", load)
        by_waves = await site.failing("waves", None)
        together = await site.failing("at-once", _at_once(count))
    _blast(report, "at-once", *together)
    _blast(report, "waves", *by_waves, at_once=len(together[1].cells))


def _at_once(cells: int) -> dict[str, Any]:
    """One wave of all cells, so many at once, without a bake."""
    wave = {"name": "all", "maxConcurrency": cells, "bake": {"seconds": 0}}
    return {"waves": [wave], "failurePolicy": {"maxFailedCells": cells}}


async def _running(store: ResourceStore) -> set[str]:
    return {str(cell.status.release) for cell in await store.list(Cell)}


@dataclass(frozen=True, slots=True)
class _Site:
    """Where the rollouts go through."""

    report: Report
    platform: Platform
    tenants: list[str]
    store: ResourceStore

    async def under_load(self, name: str, release: str, strategy: dict[str, Any] | None) -> tuple[Load, Ended]:
        """One rollout to its end, with what the clients saw until some seconds later."""
        headers = {tenant: await asyncio.to_thread(self.platform.headers, tenant) for tenant in self.tenants}
        self.report.note(f"{name}: begins")
        async with asking(self.platform.router, headers) as load:
            await asyncio.sleep(_SETTLE_SECONDS)
            assert not load.failed, "clients fail before anything is upgraded"
            ended = await rolled_out(self.store, name, release, strategy)
            await asyncio.sleep(_SETTLE_SECONDS)
        told = f"{len(ended.cells)} cells, {load.failed.total()} failed requests"
        self.report.note(f"{name}: {ended.status.phase}, {told}")
        return load, ended

    async def failing(self, name: str, strategy: dict[str, Any] | None) -> tuple[Load, Ended]:
        """The bad release, until all cells run the good one again."""
        load, ended = await self.under_load(name, _BAD, strategy)
        assert ended.status.phase == "RolledBack", ended.status
        assert await _running(self.store) == {_GOOD}
        return load, ended


def _blast(report: Report, name: str, load: Load, ended: Ended, *, at_once: int | None = None) -> None:
    cells = len(ended.cells)
    if at_once is None:
        report.add(f"{name}.cells", cells, "cells")
    else:
        report.add(f"{name}.cells", cells, "cells", peer=f"{_AT_ONCE}: {at_once} cells", ratio=cells / at_once)
    report.add(f"{name}.tenants", len(load.failed), "tenants")
    _asked(report, name, load)
    assert ended.noticed is not None
    assert load.first_failure is not None
    report.add(f"{name}.noticed", ended.noticed.timestamp() - load.first_failure, "s")
    report.add(f"{name}.back", seconds(ended.noticed, ended.status.finished_at), "s")


def _asked(report: Report, name: str, load: Load) -> None:
    report.add(f"{name}.requests", load.asked.total(), "requests")
    report.add(f"{name}.failed", load.failed.total(), "requests")
