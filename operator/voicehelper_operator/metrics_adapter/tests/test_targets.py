"""Which pods are read."""

from __future__ import annotations

import pytest
from voicehelper_core.kubernetes_api.follow import Delta
from voicehelper_core.kubernetes_api.kinds import POD, ours
from voicehelper_crds import Cell

from voicehelper_operator.metrics_adapter.targets import Targets

CELL = "cabcdefghij1"


def pod(name="web-1", *, namespace=f"cell-{CELL}", cell=CELL, **more):
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": {"voicehelper.io/cell": cell}}
    status = {"phase": "Running", "podIP": "10.0.0.7"}
    meta.update(more.pop("meta", {}))
    status.update(more.pop("status", {}))
    return Delta("applied", POD, {"metadata": meta, "status": status})


def cell(topology="expanded", cell_id=CELL, name="globex"):
    found = {"metadata": {"name": name}, "spec": {"topology": topology}, "status": {"cellId": cell_id}}
    return Delta("applied", ours(Cell), found)


def targets(*deltas):
    found = Targets()
    for delta in deltas:
        found.take(delta)
    return [target.name for target in found.of(f"cell-{CELL}")]


def test_pods_of_expanded_cells_in_any_order():
    assert targets(pod(), cell()) == targets(cell(), pod()) == ["web-1"]


@pytest.mark.parametrize("other", [cell("compact"), cell(cell_id="cother000001"), cell(cell_id="")])
def test_pods_of_other_cells_are_not_read(other):
    assert targets(pod(), other) == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"phase": "Pending"}},
        {"status": {"phase": "Succeeded"}},
        {"status": {"podIP": ""}},
        {"meta": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
)
def test_a_pod_that_is_not_up_is_not_read(change):
    assert targets(cell(), pod(), pod(**change)) == []


def test_a_pod_elsewhere_cannot_pass_itself_off():
    found = Targets()
    for delta in (cell(), pod(namespace="default"), pod(namespace="cell-cother000001")):
        found.take(delta)
    assert found.all() == []


def test_what_ends_is_not_read():
    gone = Delta("deleted", POD, {"metadata": {"name": "web-1", "namespace": f"cell-{CELL}", "uid": "uid-web-1"}})
    assert targets(cell(), pod(), gone) == []
    assert targets(cell(), pod(), Delta("deleted", ours(Cell), {"metadata": {"name": "globex"}})) == []
    assert targets(cell(), pod(), cell("compact")) == []


def test_it_is_synced_when_all_kinds_are():
    found = Targets()
    found.take(Delta("synced", POD, {}))
    assert not found.synced
    found.take(Delta("synced", ours(Cell), {}))
    assert found.synced
