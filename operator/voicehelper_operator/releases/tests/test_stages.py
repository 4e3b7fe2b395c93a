"""Cells whose users come to a release in stages: how they go on, how they are judged, who is sent back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from voicehelper_crds.failure_policy import FailurePolicy
from voicehelper_crds.models import CellReleaseSpec, CellReleaseStatus
from voicehelper_crds.releases import Approval, Bake, Complaint, Rollback, Skip, Strategy, Wave
from voicehelper_crds.traffic import Analysis, Stage, Traffic

from voicehelper_operator.releases.progress import entries
from voicehelper_operator.releases.stages import shipped
from voicehelper_operator.releases.tests.fleet import START, Fleet, fleet_of

STAGES = [
    Stage(weight=10, seconds=60, max_error_percent=1),
    Stage(weight=50, seconds=60, max_error_percent=1, max_p95_milliseconds=500),
    Stage(weight=100, seconds=0),
]
WAVES = [Wave(name="one", max_cells=1, bake=Bake(seconds=30)), Wave(name="all", bake=Bake(seconds=30))]


def spec(stages: list[Stage] | None = STAGES, **more: Any) -> CellReleaseSpec:
    policy = FailurePolicy(**more.pop("policy", {}))
    traffic = Traffic(
        stages=stages, time_scale=more.pop("time_scale", 1), analysis=Analysis(**more.pop("analysis", {}))
    )
    waves = more.pop("waves", WAVES)
    return CellReleaseSpec(release="r2", strategy=Strategy(waves=waves, failure_policy=policy, traffic=traffic), **more)


def weights(fleet: Fleet, hours: float = 24 * 14) -> list[int]:
    """Those that the first cell had, in their order, while it runs to the end."""
    seen: list[int] = []
    for status in fleet.each(hours):
        name = next(entry.cell for _, entry in entries(status))
        cell = next(item for item in fleet.cells if item.name == name)
        if not seen or seen[-1] != cell.weight:
            seen.append(cell.weight)
    return seen


def held(status: CellReleaseStatus) -> str:
    return status.held.reason if status.held is not None else ""


def test_a_good_release_gets_all_users_stage_by_stage():
    fleet = Fleet(spec(), fleet_of(4))
    assert weights(fleet) == [0, 10, 50, 100, 0]
    assert fleet.status.phase == "Complete"
    assert {cell.release for cell in fleet.cells} == {"r2"}
    assert fleet.now - START > timedelta(seconds=4 * 120)


def test_the_shipped_stages_take_as_long_as_the_scale_says():
    fleet = Fleet(spec(None, time_scale=0.01), fleet_of(1))
    assert weights(fleet) == [0, 10, 25, 50, 75, 100, 0]
    longest = sum(stage.seconds for stage in shipped()) / 100
    assert timedelta(seconds=longest) <= fleet.now - START <= timedelta(seconds=longest + 600)


@pytest.mark.parametrize("stages", [[], None])
def test_without_stages_it_takes_over_at_once(stages):
    wanted = spec([]) if stages == [] else CellReleaseSpec(release="r2")
    fleet = Fleet(wanted, fleet_of(3))
    assert set(weights(fleet)) == {0}
    assert fleet.status.phase == "Complete"
    assert not any(cell.tried for cell in fleet.cells)


@pytest.mark.parametrize(("fault", "metric", "most"), [("errors", "errors", 10), ("slow", "p95", 50)])
def test_a_bad_release_is_found_at_a_stage_and_never_serves(fault, metric, most):
    fleet = Fleet(spec(), fleet_of(10))
    for cell in fleet.cells:
        cell.fault = fault
    assert max(weights(fleet)) == most
    status = fleet.status
    assert status.phase == "RolledBack"
    assert status.ended is not None and status.ended.cause == "Failure"
    assert status.ended.metric == metric and "more than" in status.ended.value
    assert status.ended.value in status.ended.message
    assert len(fleet.touched) == 1
    assert {cell.release for cell in fleet.cells} == {"r1"}
    assert not fleet.served


@pytest.mark.parametrize("fault", ["never-up", "cannot-start", "tenant-sick", "dies"])
def test_what_was_found_before_is_found_beside_what_serves(fault):
    fleet = Fleet(spec(), fleet_of(5))
    for cell in fleet.cells:
        cell.fault = fault
    assert fleet.run().phase == "RolledBack"
    assert len(fleet.touched) == 1 and not fleet.served


@pytest.mark.parametrize(("baseline", "fault"), [("previous", "errors"), ("peerCells", "errors"), ("previous", "slow")])
def test_a_release_is_compared_with_what_ran_before(baseline, fault):
    stages = [Stage(weight=10, seconds=600), Stage(weight=100, seconds=0)]
    fleet = Fleet(spec(stages, analysis={"baseline": baseline}), fleet_of(6))
    for cell in fleet.cells:
        cell.fault = fault
    status = fleet.run()
    assert status.phase == "RolledBack" and status.ended is not None
    assert status.ended.metric == ("errors-to-baseline" if fault == "errors" else "latency-to-baseline")
    well = Fleet(spec(stages, analysis={"baseline": baseline}), fleet_of(6))
    assert well.run().phase == "Complete"


def silent(fleet: Fleet, until: float) -> None:
    def change(fleet: Fleet, seconds: float) -> None:
        for cell in fleet.cells:
            cell.rate = 0 if seconds < until else 100

    fleet.change = change


def test_without_requests_it_waits_for_some():
    fleet = Fleet(spec(), fleet_of(1))
    silent(fleet, 3600)
    told = {held(status) for status in fleet.each()}
    assert "NoData" in told
    assert fleet.status.phase == "Complete" and fleet.now - START > timedelta(hours=1)


def test_or_fails_where_the_policy_says_so():
    fleet = Fleet(spec(analysis={"no_data": "Fail"}), fleet_of(1))
    silent(fleet, 10**9)
    status = fleet.run()
    assert status.phase == "RolledBack" and status.ended is not None and "no requests" in status.ended.value


@pytest.mark.parametrize(("policy", "phase"), [("Proceed", "Complete"), ("Fail", "RolledBack")])
def test_too_few_requests_say_nothing(policy, phase):
    fleet = Fleet(spec(analysis={"inconclusive": policy}), fleet_of(1))
    for cell in fleet.cells:
        cell.rate = 0.2
    assert fleet.run().phase == phase


def test_a_person_lets_it_go_on():
    def approve(fleet: Fleet, seconds: float) -> None:
        if seconds > 1800 and not fleet.spec.approvals:
            fleet.spec = fleet.spec.model_copy(
                update={"approvals": [Approval(wave="one", gate="traffic", actor="ops")]}
            )

    fleet = Fleet(spec(), fleet_of(1), change=approve)
    for cell in fleet.cells:
        cell.rate = 0.2
    assert "Inconclusive" in {held(status) for status in fleet.each()}
    assert fleet.status.phase == "Complete"


def test_figures_that_cannot_be_had_are_no_success():
    fleet = Fleet(spec(), fleet_of(1))
    fleet.broken = "a router does not tell"
    status = fleet.run()
    assert status.phase == "RolledBack" and status.ended is not None
    assert (status.ended.metric, status.ended.value) == ("query", "a router does not tell")


def test_and_a_stage_does_not_end_meanwhile():
    def mend(fleet: Fleet, seconds: float) -> None:
        fleet.broken = "a router does not tell" if seconds < 1800 else ""

    fleet = Fleet(spec(analysis={"consecutive_error_limit": 1000}), fleet_of(1), change=mend)
    assert "QueryError" in {held(status) for status in fleet.each()}
    assert fleet.status.phase == "Complete" and fleet.now - START > timedelta(minutes=30)


def test_complaints_that_an_operator_enters_are_counted():
    def complain(fleet: Fleet, seconds: float) -> None:
        if seconds > 100:
            told = [Complaint(cell="cell-0", count=count, actor="ops", reason="tone") for count in (4, 2)]
            fleet.spec = fleet.spec.model_copy(update={"complaints": told})

    stages = [Stage(weight=75, seconds=600, max_complaints=5), Stage(weight=100, seconds=0)]
    fleet = Fleet(spec(stages), fleet_of(1), change=complain)
    status = fleet.run()
    assert status.phase == "RolledBack" and status.ended is not None
    assert (status.ended.metric, status.ended.value) == ("complaints", "complaints: 6, of which a stage may have 5")


def test_a_dry_run_only_tells():
    fleet = Fleet(spec(analysis={"dry_run": True}), fleet_of(1))
    fleet.cells[0].fault = "errors"
    results = {
        item.result
        for status in fleet.each()
        for _, entry in entries(status)
        if entry.stage is not None
        for item in entry.stage.metrics
    }
    assert "Failure" in results
    assert fleet.status.phase == "Complete"


def test_an_emergency_has_no_stages():
    fleet = Fleet(spec(skip=Skip(reason="CVE", actor="security")), fleet_of(3))
    assert set(weights(fleet)) == {0}
    assert fleet.status.phase == "Complete" and fleet.now - START < timedelta(minutes=5)


def test_an_emergency_ends_the_stages_of_a_cell():
    def skip(fleet: Fleet, seconds: float) -> None:
        if seconds > 60:
            fleet.spec = fleet.spec.model_copy(update={"skip": Skip(reason="CVE", actor="security")})

    fleet = Fleet(spec(), fleet_of(1), change=skip)
    assert weights(fleet) in ([0, 10, 0], [0, 10, 50, 0])
    assert fleet.status.phase == "Complete" and fleet.cells[0].release == "r2"


def test_a_pause_keeps_the_weight():
    def pause(fleet: Fleet, seconds: float) -> None:
        state = "Pause" if 30 < seconds < 3600 else "Run"
        fleet.spec = fleet.spec.model_copy(update={"state": state})

    fleet = Fleet(spec(), fleet_of(1), change=pause)
    assert weights(fleet) == [0, 10, 50, 100, 0]
    assert fleet.now - START > timedelta(hours=1)


@pytest.mark.parametrize("how", ["Stop", "rollback"])
def test_whoever_is_in_a_stage_goes_back_when_it_ends(how):
    def end(fleet: Fleet, seconds: float) -> None:
        if seconds > 100:
            update = {"state": "Stop"} if how == "Stop" else {"rollback": Rollback(reason="r", actor="a")}
            fleet.spec = fleet.spec.model_copy(update=update)

    fleet = Fleet(spec(), fleet_of(3), change=end)
    assert fleet.run().phase in ("Stopped", "RolledBack")
    assert {cell.release for cell in fleet.cells} == {"r1"} and not fleet.served


def test_what_failed_and_waits_for_a_person_has_no_users_and_never_serves():
    def end(fleet: Fleet, seconds: float) -> None:
        if seconds > 7200:
            fleet.spec = fleet.spec.model_copy(update={"rollback": Rollback(reason="r", actor="a")})

    fleet = Fleet(spec(policy={"on_failure": "Pause"}), fleet_of(2), change=end)
    for cell in fleet.cells:
        cell.fault = "errors"
    assert weights(fleet) == [0, 10, 0]
    assert fleet.status.phase == "RolledBack" and not fleet.served
