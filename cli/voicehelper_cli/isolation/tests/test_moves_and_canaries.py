"""Guards of moves and of releases that are tried are taken away once, and the proof must fail with their names."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from voicehelper_cell.placements import Placements
from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.model import Outcome
from voicehelper_cli.isolation.tests import mutants
from voicehelper_cli.isolation.tests.mutants import proof
from voicehelper_embedded.tests import archived_tenant as world
from voicehelper_embedded.tests.test_release import (
    ended,
    follows,  # noqa: F401 (a fixture)
    install,
)
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
PLACED = (
    "        if placement is None or placement.name != claims.tenant:\n            raise PermissionDenied(\"the token's"
)
ANYBODY = (
    '        placement = placement or Placement(claims.tid or "", claims.tenant, False, {})\n'
    "        if placement.name != claims.tenant:\n            raise PermissionDenied(\"the token's"
)
BUILDS: dict[str, tuple[str, str, Callable[[str], str] | None, str | None]] = {
    "nothing": ("raaaaaaaaaf1", "", None, None),
    "placement": (
        "raaaaaaaaaf2",
        "voicehelper_cell/placements.py",
        lambda text: text.replace(PLACED, ANYBODY),
        "canary.placement",
    ),
}


async def test_an_old_cell_that_goes_on_serving(field: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Placements, "_at_the_edge", Placements.admit_known)
    async with mutants.cell(field) as changed:
        report = await proof(changed, "moves.moved")
    assert report.findings == ["moves.old-cell"], report.verdict


@pytest.mark.parametrize("name", BUILDS)
async def test_a_release_that_is_tried_without(field: Arena, platform: Platform, follows: str, name: str) -> None:  # noqa: F811
    release, file, change, finding = BUILDS[name]
    install(platform, follows, release, file, change)
    strategy = {
        "waves": [{"name": "all", "maxConcurrency": 20}],
        "failurePolicy": {"maxFailedCells": 20},
        "traffic": {"stages": [{"weight": 1, "seconds": 3600}]},
    }
    spec = {"release": release, "strategy": strategy}
    manifest = {"apiVersion": "voicehelper.io/v1alpha1", "kind": "CellRelease", "metadata": {"name": f"try-{name}"}}
    platform.cli("apply", "-f", "-", stdin=json.dumps({**manifest, "spec": spec}))

    def tried() -> bool:
        canary = platform.resource("cell", field.victim.cell)["status"].get("canary", {})
        return bool(canary.get("ready") and canary["release"] == release)

    world.until(tried)
    report = await proof(field, "canary")
    platform.cli("apply", "-f", "-", stdin=json.dumps({**manifest, "spec": {**spec, "state": "Stop"}}))
    assert (await ended(platform, f"try-{name}"))["phase"] == "Stopped"
    assert report.findings == ([finding] if finding else []), report.verdict
    process = next(result for result in report.results if result.name == "canary.process")
    assert process.count(Outcome.not_run) == 0
    assert process.count(Outcome.held) > 0
