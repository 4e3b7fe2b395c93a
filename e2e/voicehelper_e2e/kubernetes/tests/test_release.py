"""A release goes through the cells in waves while they are asked, and back; what cannot be pulled never serves."""

from __future__ import annotations

import pytest

from voicehelper_e2e.kubernetes.asking import Asking
from voicehelper_e2e.kubernetes.people import TENANTS, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]
WAVES = [{"name": "one-box", "maxCells": 1, "bake": {"seconds": 5}}, {"name": "all", "bake": {"seconds": 5}}]
STRATEGY = {"waves": WAVES, "failurePolicy": {"unhealthySeconds": 10}}


@pytest.fixture(autouse=True)
def as_before(people):
    yield
    people.installation.kubectl("delete", "cellreleases", "--all")


def status(people, name):
    return people.installation.get("cellrelease", name)["status"]


def running(people):
    """The release that pods of the cells run, by tenant."""
    found = {}
    for tenant in TENANTS:
        pods = people.installation.cluster.listed("pods", "-n", people.namespace(tenant))
        found[tenant] = {
            pod["spec"]["containers"][0]["image"].rpartition(":")[2]
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"] and pod["metadata"].get("ownerReferences")
            and pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
        }  # fmt: skip
    return found


def test_it_reaches_every_cell_and_comes_back(people):
    image = people.installation.cluster.image
    before, newer = image.rpartition(":")[2], "released"
    people.installation.cluster.tagged(newer)
    with Asking(people, "acme") as one, Asking(people, "globex") as two:
        people.release("spring", newer, strategy=STRATEGY)
        until(lambda: status(people, "spring").get("phase") == "Complete", "it is complete", 240)
        until(lambda: running(people) == {tenant: {newer} for tenant in TENANTS}, "the old pods have gone", 60)
        people.patch("cellrelease/spring", {"rollback": {"reason": "the other way", "actor": "tests"}})
        until(lambda: status(people, "spring").get("phase") == "RolledBack", "it went back", 180)
        until(lambda: running(people) == {tenant: {before} for tenant in TENANTS}, "the pods of before run", 60)
    assert set(one.answers) == set(two.answers) == {200}, (one.answers, two.answers)
    told = people.installation.kubectl("describe", "cellrelease", "spring")
    assert "WaveDone" in told and "RollbackAsked" in told


def test_what_cannot_be_pulled_never_serves(people):
    before = running(people)
    with Asking(people, "acme") as one, Asking(people, "globex") as two:
        people.release("broken", "never-built", strategy=STRATEGY)
        until(lambda: status(people, "broken").get("phase") == "RolledBack", "it went back by itself", 240)
    found = status(people, "broken")
    touched = [entry for wave in found["waves"] for entry in wave["cells"] if "begunAt" in entry]
    assert len(touched) == 1
    assert "never-built" in found["ended"]["message"]
    assert set(one.answers) == set(two.answers) == {200}, (one.answers, two.answers)
    assert running(people) == before
