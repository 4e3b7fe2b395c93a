"""Any rollout in stages, whatever fails in it and whatever people do meanwhile."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_crds.releases import Bake, Rollback, Skip, Wave
from voicehelper_crds.traffic import Stage

from voicehelper_operator.releases.tests.fleet import Fleet, fleet_of
from voicehelper_operator.releases.tests.test_stages import spec


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 8),
    stages=st.lists(
        st.builds(
            Stage,
            weight=st.sampled_from([5, 50, 100]),
            seconds=st.sampled_from([0, 30, 300]),
            max_error_percent=st.sampled_from([None, 1.0]),
            max_p95_milliseconds=st.sampled_from([None, 500]),
        ),
        max_size=4,
    ),
    baseline=st.sampled_from([None, "previous", "peerCells"]),
    faults=st.lists(
        st.sampled_from(["", "", "errors", "slow", "leaks", "dies", "tenant-sick", "cannot-start"]), max_size=8
    ),
    most=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    kills=st.sampled_from([0.0, 0.3, 0.7]),
    action=st.sampled_from(["", "Pause", "Stop", "rollback", "skip"]),
    at=st.floats(0, 900),
)
def test_any_rollout_in_stages_keeps_its_word_and_ends(count, stages, baseline, faults, most, seed, kills, action, at):
    def act(fleet: Fleet, seconds: float) -> None:
        if seconds < at or not action:
            return
        update: dict[str, Any] = {
            "rollback": {"rollback": Rollback(reason="r", actor="a")},
            "skip": {"skip": Skip(reason="r", actor="a")},
            "Stop": {"state": "Stop"},
            "Pause": {"state": "Pause" if seconds < at + 600 else "Run"},
        }[action]
        fleet.spec = fleet.spec.model_copy(update=update)

    cells = fleet_of(count, seed=seed)
    for cell, fault in zip(cells, faults, strict=False):
        cell.fault = fault
    wanted = spec(
        stages,
        analysis={"baseline": baseline, "inconclusive": "Proceed", "no_data": "Fail"},
        policy={"max_failed_cells": most, "max_memory_growth_percent": 50},
        waves=[Wave(name="all", max_concurrency=3, bake=Bake(seconds=60))],
    )
    fleet = Fleet(wanted, cells, seed=seed, kills=kills, change=act)
    status = fleet.run()
    assert fleet.worst <= most
    for cell in cells:
        assert cell.release in ("r1", "r2") and cell.tried == ""
        if status.phase == "RolledBack":
            assert cell.release == "r1"
