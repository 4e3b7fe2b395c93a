"""What Envoy is told of a cell, with and without a release that is tried in it. ``UPDATE_GOLDEN=1`` writes it anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from voicehelper_crds import Cell
from voicehelper_router.xds import clusters, facts, routes
from voicehelper_router.xds.facts import CanaryFacts, CellFacts
from voicehelper_router.xds.snapshot import build

GOLDEN = Path(__file__).parent / "golden"
CELL = CellFacts(cell_id="aaaaaaaaaaaa", http="127.0.0.1:1", grpc="127.0.0.1:2")
CANARY = CanaryFacts(http="127.0.0.1:3", grpc="127.0.0.1:4", weight=10)
TRIED = CELL.model_copy(update={"canary": CANARY})


def rendered(cell: CellFacts) -> str:
    content = [item.content for item in (*clusters.of_cell(cell), routes.of_cell(cell))]
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize(("name", "cell"), [("cell", CELL), ("cell-with-canary", TRIED)])
def test_what_envoy_is_told(name: str, cell: CellFacts) -> None:
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(rendered(cell))
    assert rendered(cell) == path.read_text()


def test_who_comes_back_has_the_same_bytes() -> None:
    before = build([], [CELL])
    after = before.changed({}, {CELL.cell_id: TRIED}).changed({}, {CELL.cell_id: CELL})
    for kind in ("clusters", "routes", "scopes"):
        old, new = getattr(before, kind), getattr(after, kind)
        assert {name: item.message.SerializeToString(deterministic=True) for name, item in old.items()} == {
            name: item.message.SerializeToString(deterministic=True) for name, item in new.items()
        }


def test_every_cluster_that_routes_name_is_there_and_the_new_one_comes_first() -> None:
    known = {item.name for item in clusters.of_cell(TRIED)}
    assert known <= {*clusters.names(CELL.cell_id)}
    (host,) = routes.of_cell(TRIED).content["virtual_hosts"]
    weighted = [route["route"]["weighted_clusters"] for route in host["routes"] if "weighted_clusters" in str(route)]
    for item in weighted:
        assert [part["weight"] for part in item["clusters"]] == [10, 90]
        assert {part["name"] for part in item["clusters"]} <= known
        assert "-canary-" in item["clusters"][0]["name"]
    asked = [route["route"]["cluster"] for route in host["routes"] if "x-canary" in str(route["match"])]
    assert len(asked) == len(weighted) == 7
    assert set(asked) <= known


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, CanaryFacts(http="127.0.0.1:3", weight=25)),
        ({"ready": False}, None),
        ({"endpoints": {}}, None),
        ({"endpoints": {"http": "not an address"}}, None),
    ],
)
def test_only_what_answers_is_told_to_envoy(change: dict[str, object], expected: CanaryFacts | None) -> None:
    told = {"release": "r2", "ready": True, "weight": 25, "endpoints": {"http": "127.0.0.1:3"}} | change
    resource = Cell.model_validate(
        {
            "apiVersion": "voicehelper.io/v1alpha1",
            "metadata": {"name": "one"},
            "status": {"cellId": CELL.cell_id, "endpoints": {"http": "127.0.0.1:1"}, "canary": told},
        }
    )
    found = facts.cell(resource)
    assert found is not None and found.canary == expected
    resource.status.hibernation = "Idle"
    asleep = facts.cell(resource)
    assert asleep is not None and asleep.canary is None
