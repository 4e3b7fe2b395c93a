"""What people see of a release, and what their commands make of its spec."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from voicehelper_cli.failures import Failure
from voicehelper_cli.releases import begun, changed, chosen, follow, text
from voicehelper_core import errors
from voicehelper_core.resource_rules import validated
from voicehelper_crds import CellRelease, CellReleaseStrategy, Condition, ObjectMeta
from voicehelper_crds.models import CellReleaseSpec, CellReleaseStatus
from voicehelper_crds.releases import Bake, Ended, ReleasedCell, Skip, Strategy, Wave, WaveStatus
from voicehelper_crds.traffic import MetricStatus, Stage, StageStatus, Traffic

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def release(name: str = "spring", **status: Any) -> CellRelease:
    condition = Condition(
        type="Progressing", status="True", reason="Running", message="1 of 2 cells have it", last_transition_time=NOW
    )
    told = CellReleaseStatus(conditions=[condition], **status)
    meta = ObjectMeta(name=name, uid="u", resource_version="7", creation_timestamp=NOW)
    return CellRelease(metadata=meta, spec=CellReleaseSpec(release="r2"), status=told)


def waves(*phases: str) -> list[WaveStatus]:
    return [
        WaveStatus(
            name=f"wave-{number}",
            since=NOW,
            cells=[
                ReleasedCell(
                    cell=f"cell-{number}", cell_id=f"c{number:011d}", previous="r1", tenants=3, phase=phase, since=NOW
                )
            ],
        )
        for number, phase in enumerate(phases)
    ]


class Store:
    """One release, which the operator changes at each look."""

    def __init__(self, *states: CellRelease, conflicts: int = 0) -> None:
        self.states, self.applied, self._conflicts = [*states], [], conflicts

    async def get(self, kind: Any, name: str) -> Any:
        if kind is CellReleaseStrategy and name == "careful":
            return CellReleaseStrategy(metadata=ObjectMeta(name=name))
        if not self.states or self.states[0].metadata.name != name:
            raise errors.NotFound("none")
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    async def list(self, kind: Any) -> list[CellRelease]:
        return self.states[:1]

    async def apply(self, manifest: Any) -> Any:
        if self._conflicts:
            self._conflicts -= 1
            raise errors.Conflict("it has changed")
        self.applied.append(manifest)
        made, _ = validated(manifest)
        if not self.states:
            made.metadata.uid = "new"
            made.status.phase = "Running"  # type: ignore[attr-defined]
            self.states.append(made)  # type: ignore[arg-type]
        return made


def test_all_is_told_of_one_under_way() -> None:
    shown = text(release(phase="Running", started_at=NOW, waves=waves("Updated", "Upgrading")))
    assert shown.splitlines()[0] == "spring: release r2, Running: 1 of 2 cells have it"
    assert "  wave-0   Pending   1       3         1 Updated" in shown
    assert shown.count("cell-1") == 1


def test_an_end_and_an_emergency_say_who_and_why() -> None:
    ended = Ended(cause="Failure", message="cell 'cell-0': Stuck", at=NOW)
    shown = text(
        release(phase="RolledBack", ended=ended, skipped=Skip(reason="CVE", actor="ops"), waves=waves("RolledBack"))
    )
    assert "ended by operator (Failure): cell 'cell-0': Stuck" in shown
    assert "an emergency, says ops: CVE" in shown


def test_a_plan_says_how_long_it_takes_at_least() -> None:
    strategy = Strategy(waves=[Wave(name="wave-0", bake=Bake(seconds=60)), Wave(name="wave-1", bake=Bake(seconds=120))])
    shown = text(release(phase="Held", strategy=strategy, waves=waves("Pending", "Pending")))
    assert "takes at least 0:03:00" in shown


def test_a_plan_counts_the_stages_of_each_cell() -> None:
    traffic = Traffic(stages=[Stage(weight=10, seconds=600), Stage(weight=100, seconds=0)], time_scale=0.5)
    strategy = Strategy(waves=[Wave(name="wave-0", bake=Bake(seconds=60))], traffic=traffic)
    shown = text(release(phase="Held", strategy=strategy, waves=waves("Pending")))
    assert "takes at least 0:06:00, bakes and stages" in shown


def test_stages_and_their_figures_are_told() -> None:
    stages = [Stage(weight=10, max_error_percent=1), Stage(weight=50, max_error_percent=1)]
    (wave,) = waves("Shifting")
    metric = MetricStatus(metric="errors", result="Inconclusive", message="errors 0.10 % (1 of 1,000)")
    wave.cells[0].stage = StageStatus(index=1, since=NOW, metrics=[metric])
    strategy = Strategy(traffic=Traffic(stages=stages))
    shown = text(release(phase="Running", started_at=NOW, strategy=strategy, waves=[wave]))
    assert "  cell-0: stage 2 of 2, 50 % of the users" in shown
    assert "cell-0   errors   Inconclusive   errors 0.10 % (1 of 1,000)" in shown


async def test_the_spec_is_changed_and_a_conflict_is_tried_again() -> None:
    store = Store(release(phase="Running"), conflicts=2)
    await changed(store, "spring", lambda spec: spec | {"state": "Pause"})
    (manifest,) = store.applied
    assert manifest["spec"]["state"] == "Pause"
    assert manifest["metadata"] == {"name": "spring", "resourceVersion": "7", "labels": {}, "annotations": {}}
    assert "status" not in manifest


async def test_one_is_made_once(tmp_path: Any) -> None:
    file = tmp_path / "strategy.yaml"
    file.write_text("waves: [{name: one, maxCells: 1}]\n")
    store = Store()
    made = await begun(store, "spring", "r2", str(file), {"state": "Run"})
    assert made.spec.strategy.waves[0].max_cells == 1
    with pytest.raises(Failure, match="is there already"):
        await begun(store, "spring", "r2", None, {"state": "Run"})


async def test_a_strategy_can_be_named() -> None:
    made = await begun(Store(), "spring", "r2", "careful", {"state": "Run"})
    assert (made.spec.strategy, made.spec.strategy_ref) == (None, "careful")
    with pytest.raises(Failure, match=r"no file 'bold\.yaml', and no cellreleasestrategy/bold\.yaml"):
        await begun(Store(), "spring", "r2", "bold.yaml", {"state": "Run"})


async def test_a_wrong_strategy_names_the_field(tmp_path: Any) -> None:
    file = tmp_path / "strategy.yaml"
    file.write_text("waves: [{name: one, maxCell: 1}]\n")
    with pytest.raises(Failure, match=r"waves\[0\]\.maxCell: unknown field"):
        await begun(Store(), "spring", "r2", str(file), {"state": "Run"})
    file.write_text("waves: [")
    with pytest.raises(Failure, match=r"strategy\.yaml"):
        await begun(Store(), "spring", "r2", str(file), {"state": "Run"})


async def test_it_is_followed_to_its_end(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("voicehelper_cli.releases._LOOK_SECONDS", 0)
    states = [
        release(phase="Running", waves=waves("Upgrading")),
        release(phase="Running", waves=waves("Upgrading")),
        release(phase="Complete", finished_at=NOW, waves=waves("Updated")),
    ]
    last = await follow(Store(*states), "spring")
    assert last.status.phase == "Complete"
    assert capsys.readouterr().out.count("spring: release r2") == 2, "what has not changed is not printed again"


async def test_without_any_it_says_how_to_begin() -> None:
    with pytest.raises(Failure, match="voicehelper release start"):
        await chosen(Store(), None)
