"""Releases through simulated fleets: the real planner, pretended cells, failures and clock (seeded).

Every step of every schedule is checked against what must always hold (``releases/tests/fleet.py``); a violation ends
the benchmark. Blast radius is counted in cells that ever ran the bad release.
"""

from __future__ import annotations

import random
import time
from datetime import timedelta

from voicehelper_crds.failure_policy import FailurePolicy
from voicehelper_crds.models import CellReleaseSpec
from voicehelper_crds.releases import Bake, Rollback, Strategy, Wave
from voicehelper_operator.releases.tests.fleet import START, FakeCell, Fault, Fleet, fleet_of

from voicehelper_bench.figures import Report, quantile

_FAULTS: tuple[Fault, ...] = ("never-up", "cannot-start", "sick-later", "tenant-sick")
_TENANTS = 100
"""Of a cell, on the average."""


def run(report: Report, *, quick: bool) -> None:
    """Many small fleets, then large ones by strategy."""
    _schedules(report, 200 if quick else 5000)
    for cells in (100,) if quick else (100, 1000):
        for name, strategy in _strategies(cells).items():
            _large(report, f"{cells}.{name}", strategy, fleet_of(cells, seed=1, tenants=2 * _TENANTS))


def _strategies(cells: int) -> dict[str, Strategy]:
    bake = Bake(seconds=1800)
    one, tenth = Wave(name="one-box", max_cells=1, bake=bake), Wave(name="tenth", percent=10, bake=bake)
    at_once = max(1, cells // 20)
    return {
        "shipped": Strategy(),
        "twentieth": Strategy(
            waves=[
                one,
                tenth.model_copy(update={"max_concurrency": at_once}),
                Wave(name="all", bake=bake, max_concurrency=at_once),
            ],
            failure_policy=FailurePolicy(max_failed_cells=at_once),
        ),
        "all-at-once": Strategy(
            waves=[Wave(name="all", bake=bake, max_concurrency=cells)],
            failure_policy=FailurePolicy(max_failed_cells=cells),
        ),
    }


def _large(report: Report, name: str, strategy: Strategy, cells: list[FakeCell]) -> None:
    report.note(name)
    good = Fleet(CellReleaseSpec(release="r2", strategy=strategy), cells)
    began = time.process_time()
    phase = good.run(hours=24 * 60).phase
    assert phase == "Complete", phase
    report.add(f"{name}.hours", (good.now - START) / timedelta(hours=1), "h")
    report.add(f"{name}.step", (time.process_time() - began) / good.steps * 1000, "ms of CPU/step", runs=good.steps)
    report.add(f"{name}.worst", good.worst, "cells at once")
    bad = fleet_of(len(cells), seed=1, tenants=2 * _TENANTS)
    for cell in bad:
        cell.fault = "sick-later"
    broken = Fleet(CellReleaseSpec(release="r2", strategy=strategy), bad)
    assert broken.run(hours=24 * 60).phase == "RolledBack"
    tenants = {cell.name: cell.tenants for cell in bad}
    report.add(f"{name}.bad.cells", len(broken.touched), "cells")
    report.add(f"{name}.bad.tenants", sum(tenants[cell] for cell in broken.touched), "tenants")
    report.add(f"{name}.bad.minutes", (broken.now - START) / timedelta(minutes=1), "min")


def _schedules(report: Report, count: int) -> None:
    """Random fleets, strategies, faults, people and deaths of the operator; each to its end."""
    chance = random.Random(0)
    steps, hours = 0, []
    began = time.process_time()
    for seed in range(count):
        fleet = _schedule(chance, seed)
        fleet.run(hours=24 * 60)
        steps += fleet.steps
        hours.append((fleet.now - START) / timedelta(hours=1))
        assert {cell.release for cell in fleet.cells} <= {"r1", "r2"}
    report.add("schedules", count, "schedules")
    report.add("schedules.steps", steps, "steps checked")
    report.add("schedules.cpu", time.process_time() - began, "s of CPU")
    report.add("schedules.longest", quantile(hours, 1.0), "h")


def _schedule(chance: random.Random, seed: int) -> Fleet:
    cells = fleet_of(chance.randint(0, 40), seed=seed, tenants=20)
    sick = chance.choice([0.0, 0.0, 0.05, 0.3, 1.0])
    for cell in cells:
        if chance.random() < sick:
            cell.fault = chance.choice(_FAULTS)
    waves = [
        Wave(
            name=f"w{number}",
            percent=chance.choice([5, 25, 50, 100]),
            max_cells=chance.choice([None, None, 1, 4]),
            max_concurrency=chance.choice([1, 2, 10]),
            max_tenants=chance.choice([None, None, 15]),
            sort_key=chance.choice(["Tenants", "Name", "Age"]),
            bake=Bake(seconds=chance.choice([0, 60, 1800])),
        )
        for number in range(chance.randint(0, 4))
    ]
    policy = FailurePolicy(
        scope=chance.choice(["Cell", "Wave", "AllUpdated"]), max_failed_cells=chance.choice([1, 2, 5])
    )
    act, at = chance.choice(["", "", "", "Pause", "Stop", "rollback", "join"]), chance.uniform(0, 7200)

    def people(fleet: Fleet, seconds: float) -> None:
        if seconds < at:
            return
        match act:
            case "Pause":
                state = "Pause" if seconds < at + 3600 else "Run"
                fleet.spec = fleet.spec.model_copy(update={"state": state})
            case "Stop":
                fleet.spec = fleet.spec.model_copy(update={"state": "Stop"})
            case "rollback":
                fleet.spec = fleet.spec.model_copy(update={"rollback": Rollback(reason="r", actor="a")})
            case "join" if not any(cell.name == "late" for cell in fleet.cells):
                fleet.cells.append(FakeCell("late", "clate0000000", "r1", 1, 5))
                del fleet.cells[:1]

    spec = CellReleaseSpec(release="r2", strategy=Strategy(waves=waves, failure_policy=policy))
    return Fleet(spec, cells, seed=seed, kills=chance.choice([0.0, 0.0, 0.2, 0.5]), change=people)
