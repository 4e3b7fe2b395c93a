"""Whom a changed status wakes."""

from __future__ import annotations

from voicehelper_core.ports import Change
from voicehelper_crds import PAUSED
from voicehelper_crds.validation import validate

from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.routing import Router

API = "voicehelper.io/v1alpha1"


def _cell(generation=1, **status):
    made = validate({"apiVersion": API, "kind": "Cell", "metadata": {"name": "c1"}, "spec": {}})
    made.metadata.uid, made.metadata.generation = "uid-c1", generation
    made.status = made.status.model_copy(update=status)
    return Change("applied", "Cell", "c1", made)


def _tenant(generation=1, **status):
    spec = {"planRef": "team", "admin": {"email": "a@b.example"}}
    made = validate({"apiVersion": API, "kind": "Tenant", "metadata": {"name": "t1"}, "spec": spec})
    made.metadata.uid, made.metadata.generation = "uid-t1", generation
    made.status = made.status.model_copy(update=status)
    return Change("applied", "Tenant", "t1", made)


async def _taken(queue):
    keys = []
    while len(queue):
        keys.append(await queue.get())
        queue.done(keys[-1])
    return keys


async def _later(queue):
    key = await queue.get()
    queue.done(key)
    return key


async def test_a_status_wakes_those_who_depend_on_it_and_not_its_writer():
    cells, tenants = WorkQueue(), WorkQueue()
    router = Router(cells, tenants, WorkQueue(), WorkQueue())
    for change in (_cell(), _tenant()):
        router.route(change)
    assert (await _taken(cells), await _taken(tenants)) == (["c1"], ["t1"])
    router.route(_tenant(phase="Pending"))
    assert (await _taken(cells), await _taken(tenants)) == ([], [])
    router.route(_tenant(cell="c1"))
    assert (await _taken(cells), await _taken(tenants)) == ([], [])
    assert await _later(cells) == "c1"  # which counts its tenants
    router.route(_cell(phase="Ready"))
    assert (await _taken(cells), await _taken(tenants)) == ([], ["t1"])
    router.route(_tenant(2, cell="c1"))
    assert (await _taken(cells), await _taken(tenants)) == ([], ["t1"])
    router.repaired("c1")
    assert (await _taken(cells), await _taken(tenants)) == ([], ["t1"])
    router.route(Change("deleted", "Tenant", "t1", None))
    assert (await _taken(cells), await _taken(tenants)) == ([], [])
    assert await _later(cells) == "c1"
    router.route(_tenant())  # another one of that name
    assert (await _taken(cells), await _taken(tenants)) == (["c1"] * 0, ["t1"])
    resting = _cell(phase="Ready")
    resting.resource.metadata.annotations = {PAUSED: "true"}
    router.route(_tenant(cell="c1"))
    router.route(resting)
    assert (await _taken(cells), await _taken(tenants)) == (["c1"], ["t1"])
    resting = _tenant(cell="c1")
    resting.resource.metadata.annotations = {PAUSED: "true"}
    router.route(resting)
    assert (await _taken(cells), await _taken(tenants)) == (["c1"] * 0, ["t1"])
