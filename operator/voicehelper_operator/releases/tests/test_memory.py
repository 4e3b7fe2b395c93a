"""A release that takes more memory than the one before is found, in stages and in bakes."""

from __future__ import annotations

from typing import Any

import pytest
from voicehelper_crds.failure_policy import FailurePolicy
from voicehelper_crds.models import CellReleaseSpec
from voicehelper_crds.releases import Approval, Bake, Rollback, Strategy, Wave
from voicehelper_crds.traffic import Analysis, Stage, Traffic

from voicehelper_operator.releases.progress import entries
from voicehelper_operator.releases.tests.fleet import Fleet, fleet_of
from voicehelper_operator.releases.tests.test_world import (
    API,
    FIRST,
    NEXT,
    disturbed,
    document,
    go_on,
    running,
    world_of,
)
from voicehelper_operator.tests.world import World

MIB = 2**20
STAGES = [Stage(weight=10, seconds=300), Stage(weight=100, seconds=0)]
GROWING = {FIRST: 100 * MIB, NEXT: 200 * MIB}


def spec(stages: list[Stage], analysis: dict[str, Any] | None = None, **policy: Any) -> CellReleaseSpec:
    waves = [Wave(name="one", max_cells=1, bake=Bake(seconds=300)), Wave(name="all", bake=Bake(seconds=60))]
    traffic = Traffic(stages=stages, analysis=Analysis(**analysis or {}))
    rules = FailurePolicy(**{"max_memory_growth_percent": 50, **policy})
    return CellReleaseSpec(release="r2", strategy=Strategy(waves=waves, failure_policy=rules, traffic=traffic))


def leaking(wanted: CellReleaseSpec, **more: Any) -> Fleet:
    fleet = Fleet(wanted, fleet_of(4), **more)
    for cell in fleet.cells:
        cell.fault = "leaks"
    return fleet


@pytest.mark.parametrize("stages", [STAGES, []], ids=["stages", "bake"])
def test_a_release_that_grows_goes_back_from_the_first_cell(stages):
    fleet = leaking(spec(stages))
    status = fleet.run()
    assert status.phase == "RolledBack" and status.ended is not None
    assert status.ended.metric == "memory" and status.ended.value in status.ended.message
    assert "where 100 MiB were before" in status.ended.value and "more than 50 %" in status.ended.value
    assert len(fleet.touched) == 1 and {cell.release for cell in fleet.cells} == {"r1"}
    assert fleet.served == (set() if stages else fleet.touched)


@pytest.mark.parametrize("stages", [STAGES, []], ids=["stages", "bake"])
def test_one_that_does_not_gets_everywhere(stages):
    assert Fleet(spec(stages), fleet_of(4), kills=0.3).run().phase == "Complete"


def test_without_a_limit_nobody_looks():
    fleet = leaking(spec(STAGES, max_memory_growth_percent=None))
    status = fleet.run()
    assert status.phase == "Complete"
    assert {entry.memory_mebibytes for _, entry in entries(status)} == {None}


@pytest.mark.parametrize("stages", [STAGES, []], ids=["stages", "bake"])
def test_what_nobody_tells_is_no_success(stages):
    def approve(fleet: Fleet, seconds: float) -> None:
        if seconds > 7200:
            told = [Approval(wave=wave, gate="traffic", actor="ops") for wave in ("one", "all")]
            fleet.spec = fleet.spec.model_copy(update={"approvals": told})

    fleet = Fleet(spec(stages), fleet_of(2), silent=True, change=approve)
    held = {(status.held.reason, "memory cannot be judged" in status.held.message)
            for status in fleet.each() if status.held}  # fmt: skip
    assert held == {("NoData", True)}
    assert fleet.status.phase == "Complete"
    assert fleet.steps < 5000, "it is looked at all the time"


@pytest.mark.parametrize("stages", [STAGES, []], ids=["stages", "bake"])
def test_or_is_a_failure_where_the_policy_says_so(stages):
    fleet = Fleet(spec(stages, {"no_data": "Fail"}), fleet_of(2), silent=True)
    status = fleet.run()
    assert status.phase == "RolledBack" and status.ended is not None and status.ended.metric == "memory"


@pytest.mark.parametrize("stages", [STAGES, []], ids=["stages", "bake"])
def test_a_dry_run_only_tells(stages):
    assert leaking(spec(stages, {"dry_run": True})).run().phase == "Complete"


def test_with_pause_a_cell_that_has_grown_stays_failed():
    def end(fleet: Fleet, seconds: float) -> None:
        if seconds > 7200:
            fleet.spec = fleet.spec.model_copy(update={"rollback": Rollback(reason="r", actor="a")})

    fleet = leaking(spec([], on_failure="Pause"), change=end)
    phases: list[str] = []
    for status in fleet.each():
        phase = next(entry.phase for _, entry in entries(status))
        if not phases or phases[-1] != phase:
            phases.append(phase)
    assert phases == ["Upgrading", "Updated", "Failed", "RollingBack", "RolledBack"]


async def weighed(resident: dict[str, int], **more: Any) -> tuple[World, dict[str, Any]]:
    world = await world_of(2)
    world.runtime.resident = resident
    policy = {"maxFailedCells": 1, "unhealthySeconds": 5, "maxMemoryGrowthPercent": 50}
    waves = [{"name": "one", "maxCells": 1, "bake": {"seconds": 8}}, {"name": "all", "bake": {"seconds": 8}}]
    return world, document(strategy={"waves": waves, "failurePolicy": policy, **more})


@pytest.mark.parametrize("stages", [[{"weight": 100, "seconds": 5}], []], ids=["stages", "bake"])
async def test_the_runtime_is_asked(stages):
    world, manifest = await weighed(dict(GROWING), traffic={"stages": stages})
    await world.store.apply(manifest)
    release = await go_on(world)
    assert release.status.phase == "RolledBack" and release.status.ended is not None
    assert release.status.ended.value.startswith("200 MiB resident where 100 MiB were before: +100 %")
    assert await running(world) == {FIRST}


async def test_a_cell_that_sleeps_is_not_weighed(monkeypatch: pytest.MonkeyPatch):
    world, manifest = await weighed(dict(GROWING))
    for number in range(2):
        await world.store.apply({**API, "kind": "Cell", "metadata": {"name": f"cell-{number}"},
                                 "spec": {"idleAfterSeconds": 10}})  # fmt: skip
    monkeypatch.setattr(world.activity, "idle_seconds", lambda cell_id: 3600.0, raising=False)
    await world.settle()
    assert not world.runtime.running
    await world.store.apply(manifest)
    assert (await go_on(world)).status.phase == "Complete"


@pytest.mark.parametrize("stages", [[{"weight": 100, "seconds": 5}], []], ids=["stages", "bake"])
async def test_dying_at_any_effect_changes_nothing(stages):
    async def rollout(die_at: int) -> tuple[int, str, set[str]]:
        world, manifest = await weighed(dict(GROWING), traffic={"stages": stages})
        return await disturbed(world, manifest, die_at)

    total, *wanted = await rollout(0)
    assert total > 10 and wanted[0] == "RolledBack"
    for at in range(1, total + 1):
        _, *found = await rollout(at)
        assert found == wanted, f"after it died at effect {at}"
