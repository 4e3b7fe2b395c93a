"""What is remembered of the cells' objects."""

from __future__ import annotations

import copy

import pytest
from voicehelper_core.kubernetes_api import kinds as k
from voicehelper_core.kubernetes_api.follow import Delta
from voicehelper_core.kubernetes_api.kinds import kind_of

from voicehelper_operator.workloads.kubernetes import naming, objects

CELL = "c00000000001"


def manifest(name, value="a"):
    meta = {"name": name, "namespace": "ns", "labels": {naming.CELL: CELL}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"value": value}}


def found(wanted, version, **spec):
    item = copy.deepcopy(wanted)
    item["metadata"] |= {"uid": wanted["metadata"]["name"], "resourceVersion": str(version)}
    item["spec"] |= spec
    return item


@pytest.fixture
def compared(monkeypatch):
    names, real = [], objects.lacking

    def noted(wanted, item):
        names.append(wanted["metadata"]["name"])
        return real(wanted, item)

    monkeypatch.setattr(objects, "lacking", noted)
    return names


def test_only_what_changed_is_compared_again(compared):
    known, wanted = objects.Objects(None), [manifest(name) for name in "abc"]
    for item in wanted:
        known.put(kind_of(item), found(item, 1))
    known.want(CELL, wanted)
    assert known.as_wanted(CELL)
    assert compared == ["a", "b", "c"]
    compared.clear()
    pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "p", "resourceVersion": "5", "labels": {}}}
    for _ in range(10):  # a pod says something, and the cell is reconciled
        known.put(k.POD, pod)
        known.want(CELL, [manifest(name) for name in "abc"])
        assert known.as_wanted(CELL)
    assert compared == []
    known.put(k.SERVICE, found(wanted[1], 2, value="changed"))
    assert not known.as_wanted(CELL)
    known.put(k.SERVICE, found(wanted[1], 3))
    assert known.as_wanted(CELL)
    assert compared == ["b", "b"]


def test_what_is_wanted_otherwise_or_is_gone_is_noticed(compared):
    known, wanted = objects.Objects(None), [manifest(name) for name in "ab"]
    for item in wanted:
        known.put(kind_of(item), found(item, 1))
    known.want(CELL, wanted)
    assert known.as_wanted(CELL)
    known.want(CELL, [wanted[0], manifest("b", "other")])
    assert not known.as_wanted(CELL)
    known.want(CELL, wanted)
    assert known.as_wanted(CELL)
    known._take(Delta("deleted", k.SERVICE, found(wanted[0], 4)))
    assert not known.as_wanted(CELL)
    known.forget(CELL)
    assert known.as_wanted(CELL)
    known.want(CELL, wanted)
    assert not known.as_wanted(CELL)


def test_what_went_while_the_watch_was_away_and_was_known_from_the_answer_to_a_write_only(compared):
    known, wanted = objects.Objects(None), [manifest(name) for name in "abc"]
    for item, version in zip(wanted, (1, 7, 9), strict=True):
        known.put(k.SERVICE, found(item, version))
    known.put(k.DEPLOYMENT, found(wanted[0], 1))
    known.want(CELL, wanted)
    assert known.as_wanted(CELL)
    listed = {"metadata": {"resourceVersion": "8"}, "uids": frozenset({"a"})}
    assert known._relisted(Delta("synced", k.SERVICE, listed)) == {CELL}
    assert [item["metadata"]["name"] for item in known.of(CELL, k.SERVICE)] == ["a", "c"]  # c is younger than the list
    assert len(known.of(CELL, k.DEPLOYMENT)) == 1
    assert not known.as_wanted(CELL)
    assert known._relisted(Delta("synced", k.SERVICE, listed)) == set()
