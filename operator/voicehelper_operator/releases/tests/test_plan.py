"""Rollouts of pretended fleets: how they go, and what people and failures make of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_crds.failure_policy import FailurePolicy
from voicehelper_crds.models import CellReleaseSpec, CellReleaseStatus
from voicehelper_crds.releases import (
    Approval,
    Bake,
    Freeze,
    ReleaseWindow,
    Rollback,
    Skip,
    Strategy,
    Wave,
)

from voicehelper_operator.releases.plan import advance
from voicehelper_operator.releases.progress import entries
from voicehelper_operator.releases.tests.fleet import START, FakeCell, Fleet, fleet_of


def spec(*waves: Wave, **more) -> CellReleaseSpec:
    policy = FailurePolicy(**more.pop("policy", {}))
    parts = {name: more.pop(name) for name in ("windows", "freezes", "progress_deadline_seconds") if name in more}
    return CellReleaseSpec(release="r2", strategy=Strategy(waves=[*waves], failure_policy=policy, **parts), **more)


def phases(status: CellReleaseStatus) -> dict[str, str]:
    return {entry.cell: entry.phase for _, entry in entries(status)}


def wave(name: str, **rules) -> Wave:
    return Wave(name=name, bake=Bake(seconds=rules.pop("bake", 60)), **rules)


def test_every_cell_gets_it_one_box_first():
    fleet = Fleet(CellReleaseSpec(release="r2"), fleet_of(30))
    status = fleet.run()
    assert status.phase == "Complete"
    assert [len(item.cells) for item in status.waves] == [1, 3, 26]
    assert {cell.release for cell in fleet.cells} == {"r2"}
    used = [cell for cell in fleet.cells if cell.tenants]
    assert min(used, key=lambda cell: (cell.tenants, cell.name)).name == status.waves[0].cells[0].cell


def test_without_cells_it_is_complete_at_once():
    assert Fleet(CellReleaseSpec(release="r2"), []).run().phase == "Complete"


@pytest.mark.parametrize("fault", ["never-up", "cannot-start", "sick-later", "tenant-sick", "dies"])
def test_a_bad_release_touches_the_one_box_only(fault):
    fleet = Fleet(CellReleaseSpec(release="r2"), fleet_of(30))
    for cell in fleet.cells:
        cell.fault = fault
    status = fleet.run()
    assert status.phase == "RolledBack"
    assert status.ended is not None and status.ended.cause == "Failure" and status.ended.message
    assert len(fleet.touched) == 1
    assert {cell.release for cell in fleet.cells} == {"r1"}


@pytest.mark.parametrize(
    ("scope", "kept"), [("Cell", {"r1": 6, "r2": 4}), ("Wave", {"r1": 8, "r2": 2}), ("AllUpdated", {"r1": 10})]
)
def test_the_scope_says_who_goes_back(scope, kept):
    cells = fleet_of(10, tenants=0)
    cells[4].fault = "never-up"
    one = wave("one", percent=20)
    fleet = Fleet(spec(one, wave("all", sort_key="Name"), policy={"scope": scope}), cells)
    assert fleet.run().phase == "RolledBack"
    assert {release: sum(cell.release == release for cell in cells) for release in kept} == kept


def test_some_may_fail_and_the_others_go_on():
    cells = fleet_of(12)
    cells[3].fault = cells[7].fault = "cannot-start"
    fleet = Fleet(spec(wave("all", max_concurrency=5), policy={"max_failed_cells": 3}), cells)
    status = fleet.run()
    assert status.phase == "Complete"
    assert {name for name, phase in phases(status).items() if phase == "RolledBack"} == {"cell-3", "cell-7"}
    assert fleet.worst <= 3


def test_with_pause_it_waits_until_the_cell_is_well():
    cells = fleet_of(4)
    for cell in cells:
        cell.fault = "sick-later"

    def mend(fleet: Fleet, seconds: float) -> None:
        if seconds > 7200:
            for cell in fleet.cells:
                cell.fault = ""

    fleet = Fleet(spec(wave("all", bake=300), policy={"on_failure": "Pause"}), cells, change=mend)
    reasons = {status.held.reason for status in fleet.each() if status.held}
    assert reasons == {"Failed"}
    assert fleet.status.phase == "Complete"


def test_gates_wait_for_a_person():
    def approve(fleet: Fleet, seconds: float) -> None:
        if seconds > 3600 and not fleet.spec.approvals:
            one = Approval(wave="one", gate="seen", actor="ops")
            two = Approval(wave="all", gate="go", actor="ops")
            fleet.spec = fleet.spec.model_copy(update={"approvals": [one, two]})

    waves = wave("one", max_cells=1, after_gates=["seen"]), wave("all", before_gates=["go"])
    fleet = Fleet(spec(*waves), fleet_of(3), change=approve)
    held = {status.held.message for status in fleet.each() if status.held}
    assert held == {"wave 'one' waits for the approval of 'seen' (spec.approvals)"}
    assert fleet.status.phase == "Complete"
    assert fleet.now - START > timedelta(hours=1)


def test_an_emergency_does_not_wait():
    strategy = {
        "windows": [ReleaseWindow(start="02:00", hours=1)],
        "freezes": [Freeze(begin=START, end=START + timedelta(days=30))],
    }
    skip = Skip(reason="CVE", actor="security")
    wanted = spec(wave("one", max_cells=1, bake=86_400, before_gates=["go"]), wave("all"), skip=skip, **strategy)
    fleet = Fleet(wanted, fleet_of(5))
    assert fleet.run().phase == "Complete"
    assert fleet.now - START < timedelta(minutes=5)
    assert fleet.status.skipped == skip


def test_cells_are_begun_in_the_window_only():
    fleet = Fleet(spec(wave("all", bake=0), windows=[ReleaseWindow(start="23:00", hours=2, days=["Tue"])]), fleet_of(5))
    begun = set()
    for status in fleet.each():
        begun |= {entry.begun_at for _, entry in entries(status) if entry.begun_at}
    assert {(moment.weekday(), moment.hour) for moment in begun} <= {(1, 23), (2, 0)}
    assert fleet.status.phase == "Complete"


def test_a_pause_begins_nothing_and_a_run_goes_on():
    def pause(fleet: Fleet, seconds: float) -> None:
        state = "Pause" if 30 < seconds < 3600 else "Run"
        fleet.spec = fleet.spec.model_copy(update={"state": state})

    fleet = Fleet(spec(wave("all", bake=0)), fleet_of(8), change=pause)
    begun = [
        (entry.begun_at - START).total_seconds() for _, entry in entries(fleet.run()) if entry.begun_at is not None
    ]
    assert not [moment for moment in begun if 31 < moment < 3600]
    assert len(begun) == 8


def test_stop_ends_it_where_it_is():
    def stop(fleet: Fleet, seconds: float) -> None:
        if seconds > 40:
            fleet.spec = fleet.spec.model_copy(update={"state": "Stop"})

    fleet = Fleet(spec(wave("all", bake=0)), fleet_of(20), change=stop)
    status = fleet.run()
    assert status.phase == "Stopped"
    found = set(phases(status).values())
    assert found <= {"Updated", "RolledBack", "Pending"} and "Pending" in found
    assert {cell.release for cell in fleet.cells} == {"r1", "r2"}


def test_a_complete_release_can_be_taken_back():
    fleet = Fleet(spec(wave("all", bake=0, max_concurrency=1)), fleet_of(5))
    assert fleet.run().phase == "Complete"
    fleet.spec = fleet.spec.model_copy(update={"rollback": Rollback(reason="wrong prices", actor="ops")})
    assert fleet.run().phase == "RolledBack"
    assert {cell.release for cell in fleet.cells} == {"r1"}
    assert fleet.status.ended is not None and fleet.status.ended.actor == "ops"
    assert advance(fleet.seen()).after is None


def test_who_comes_and_goes_meanwhile():
    def change(fleet: Fleet, seconds: float) -> None:
        if seconds > 20 and len(fleet.cells) == 6:
            del fleet.cells[5]
            fleet.cells.append(FakeCell("cell-new", "c99999999999", "r1", 1, 5))
            fleet.cells.append(FakeCell("cell-newest", "c99999999998", "r2", 1, 5))

    fleet = Fleet(spec(wave("all", bake=0, sort_key="Name")), fleet_of(6), change=change)
    status = fleet.run()
    assert status.phase == "Complete"
    assert phases(status)["cell-new"] == "Updated"
    assert phases(status)["cell-5"] == "Skipped"
    assert "cell-newest" not in phases(status)


def test_a_cell_of_the_same_name_is_another_one():
    def change(fleet: Fleet, seconds: float) -> None:
        if seconds > 1 and fleet.cells[0].id == "c00000000000":
            fleet.cells[0] = FakeCell("cell-0", "c77777777777", "r1", 0, 1)

    fleet = Fleet(spec(wave("all", bake=0, sort_key="Name")), fleet_of(2), change=change)
    status = fleet.run()
    found = [(entry.cell_id, entry.phase) for _, entry in entries(status) if entry.cell == "cell-0"]
    assert found == [("c00000000000", "Skipped"), ("c77777777777", "Updated")]


def test_what_is_barred_is_left_out_and_says_why():
    cells = fleet_of(4)
    cells[1].barred = "it is pinned to r1 (spec.release)"
    fleet = Fleet(spec(wave("all", bake=0)), cells)
    status = fleet.run()
    assert status.phase == "Complete"
    assert next(entry.message for _, entry in entries(status) if entry.cell == "cell-1") == cells[1].barred
    assert cells[1].release == "r1"


def test_what_is_not_ready_before_is_left_out():
    cells = fleet_of(3)
    cells[2].fault, cells[2].told, cells[2].seconds = "", "r1", 10**9
    fleet = Fleet(spec(wave("all", bake=0), progress_deadline_seconds=60), cells)
    status = fleet.run()
    assert status.phase == "Complete"
    assert phases(status)["cell-2"] == "Skipped"


WAVES = st.lists(
    st.builds(
        wave,
        name=st.uuids().map(lambda value: f"w{str(value)[:8]}"),
        percent=st.sampled_from([10, 34, 50, 100]),
        max_cells=st.sampled_from([None, 1, 3]),
        sort_key=st.sampled_from(["Tenants", "Name", "Age"]),
        max_concurrency=st.integers(1, 6),
        max_tenants=st.sampled_from([None, 1, 20]),
        bake=st.sampled_from([0, 30, 600]),
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(
    waves=WAVES,
    count=st.integers(0, 14),
    policy=st.fixed_dictionaries(
        {"scope": st.sampled_from(["Cell", "Wave", "AllUpdated"]), "max_failed_cells": st.integers(1, 5)}
    ),
    faults=st.lists(st.sampled_from(["", "", "never-up", "cannot-start", "sick-later", "tenant-sick"]), max_size=14),
    seed=st.integers(0, 2**32),
    kills=st.sampled_from([0.0, 0.3, 0.7]),
    action=st.sampled_from(["", "Pause", "Stop", "rollback"]),
    at=st.floats(0, 900),
)
def test_any_rollout_keeps_its_word_and_ends(waves, count, policy, faults, seed, kills, action, at):
    def act(fleet: Fleet, seconds: float) -> None:
        if seconds < at:
            return
        if action == "rollback":
            fleet.spec = fleet.spec.model_copy(update={"rollback": Rollback(reason="r", actor="a")})
        elif action == "Stop":
            fleet.spec = fleet.spec.model_copy(update={"state": "Stop"})
        elif action == "Pause":
            fleet.spec = fleet.spec.model_copy(update={"state": "Pause" if seconds < at + 600 else "Run"})

    cells = fleet_of(count, seed=seed)
    for cell, fault in zip(cells, faults, strict=False):
        cell.fault = fault
    fleet = Fleet(spec(*waves, policy=policy), cells, seed=seed, kills=kills, change=act)
    status = fleet.run()
    assert fleet.worst <= policy["max_failed_cells"]
    if status.phase == "Complete":
        assert all(cell.release == "r2" or phases(status)[cell.name] != "Updated" for cell in cells)
    if status.ended is not None and (status.ended.cause == "Rollback" or policy["scope"] == "AllUpdated"):
        going_on = status.ended.cause == "Stop"
        assert going_on or {cell.release for cell in cells} <= {"r1"}


def test_the_one_box_ends_it_however_many_may_fail_later():
    cells = fleet_of(40)
    for cell in cells:
        cell.fault = "sick-later"
    waves = wave("one", max_cells=1, bake=600), wave("all", max_concurrency=5)
    fleet = Fleet(spec(*waves, policy={"max_failed_cells": 5}), cells)
    assert fleet.run().phase == "RolledBack"
    assert len(fleet.touched) == 1
