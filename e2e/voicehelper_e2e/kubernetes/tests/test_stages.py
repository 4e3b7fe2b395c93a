"""The users of a cell come to a release in stages while it is asked; a bad one goes back, and nothing of it is left."""

from __future__ import annotations

import json
import time

import pytest

from voicehelper_e2e.kubernetes.asking import Asking
from voicehelper_e2e.kubernetes.people import until
from voicehelper_e2e.kubernetes.tests.test_kills import kill

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900), pytest.mark.enable_socket]
TENANT, LABEL = "globex", "stages"
"""Its cell alone is taken along: services of their own (``wide``) have no stages."""
STAGES = [
    {"weight": 1, "seconds": 8, "maxErrorPercent": 5.0},
    {"weight": 60, "seconds": 4, "maxErrorPercent": 5.0},
    {"weight": 100, "seconds": 0},
]
STRATEGY = {
    "waves": [{"name": "all", "bake": {"seconds": 2}}],
    "failurePolicy": {"unhealthySeconds": 20},
    "traffic": {"stages": STAGES},
}
ASKED = {"x-canary": "true"}
KINDS = "deployments,services,networkpolicies,poddisruptionbudgets,resourcequotas,limitranges,secrets,serviceaccounts"
FILE, LISTING = "cell/voicehelper_cell/web/conversations.py", '"""The caller\'s conversations, newest first."""\n'
BROKEN = "    import random\n    if random.random() < 0.25:\n        raise RuntimeError('this build is broken')\n"
_MENDED_SECONDS = 10


@pytest.fixture(autouse=True)
def as_before(people):
    kubectl, cell = people.installation.kubectl, people.cell(TENANT)["metadata"]["name"]
    kubectl("label", "cell", cell, "--overwrite", f"{LABEL}=yes")
    yield
    kubectl("delete", "cellreleases", "--all")
    kubectl("label", "cell", cell, f"{LABEL}-")
    until(lambda: not canary(people), "nothing is tried in the cell any more", 120)


def begin(people, name, release):
    people.release(name, release, strategy=STRATEGY, cellSelector={"matchLabels": {LABEL: "yes"}})


def status(people, name):
    return people.installation.get("cellrelease", name)["status"]


def entry(people, name):
    """What the release says of the cell; empty before it has begun."""
    found = [item for wave in status(people, name).get("waves", []) for item in wave["cells"]]
    return found[0] if found else {}


def at_stage(people, name, index):
    told = entry(people, name)
    return told.get("phase") == "Shifting" and told["stage"].get("index", 0) == index


def over(people, name):
    return "finishedAt" in status(people, name)


def canary(people):
    """Of the status of the cell."""
    return people.cell(TENANT)["status"].get("canary")


def tag(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]


def pods(people):
    """Name of the component, release and whether it leaves, of each pod of the cell that runs."""
    found = people.installation.cluster.listed("pods", "-n", people.namespace(TENANT))
    return [
        (
            item["metadata"]["labels"]["app.kubernetes.io/component"],
            item["spec"]["containers"][0]["image"].rpartition(":")[2],
            "deletionTimestamp" in item["metadata"],
        )
        for item in found
        if item["status"]["phase"] not in ("Succeeded", "Failed")
    ]


def shape(people):
    """Everything in the cell's namespace that does not change by itself, with what the cell may use at most."""
    listed = people.installation.cluster.listed(KINDS, "-n", people.namespace(TENANT))
    return {
        (item["kind"], item["metadata"]["name"]): item["spec"].get("hard") if item["kind"] == "ResourceQuota"
        else sorted(item.get("data") or {}) if item["kind"] == "Secret" else None
        for item in listed
    }  # fmt: skip


def until_settled(people, before, release, seconds=90):
    """Until nothing of what was tried is left, and the release runs alone."""
    end = time.monotonic() + seconds
    while (now := (shape(people), {item[:2] for item in pods(people)})) != (before, {("cell", release)}):
        different = {key: value for key, value in now[0].items() if key not in before or before[key] != value}
        missing = before.keys() - now[0].keys()
        assert time.monotonic() < end, f"after {seconds} s: {different} is left, {missing} missing, {now[1]} runs"
        time.sleep(0.5)


class Watched:
    """What the router was told, each time that somebody looked."""

    def __init__(self, people, before, newer):
        self.people, self.before, self.newer = people, before, newer
        self.weights, self.problems = [], []

    def look(self):
        """Whether the release is over."""
        told = canary(self.people) or {}
        if told.get("ready"):
            if not self.weights or self.weights[-1] != told.get("weight", 0):
                self.weights.append(told.get("weight", 0))
        elif told.get("leavingSince"):
            staying = {release for part, release, leaves in pods(self.people) if part == "cell" and not leaves}
            if staying != {self.newer}:
                self.problems.append(f"users were sent to {staying} before all of it was {self.newer}")
        return over(self.people, "staged")


def test_a_good_release_comes_stage_by_stage_and_no_request_fails(people):
    installation, namespace = people.installation, people.namespace(TENANT)
    before, newer = installation.cluster.image.rpartition(":")[2], "staged"
    installation.cluster.tagged(newer)
    objects = shape(people)
    serving = installation.get("deployment", "cell", namespace)
    with (
        Asking(people, TENANT) as usual,
        Asking(people, TENANT, ASKED) as asking,
        Asking(people, TENANT, ASKED) as more,
    ):
        begin(people, "staged", newer)
        until(lambda: at_stage(people, "staged", 0), "the cell is in its first stage", 180)
        told = people.cell(TENANT)["status"]
        address = installation.get("service", "canary", namespace)["spec"]["clusterIP"]
        assert (told["release"], told["canary"]["release"]) == (before, newer), told
        assert (told["canary"]["endpoints"]["http"], told["canary"]["ready"]) == (f"{address}:8080", True), told[
            "canary"
        ]
        now = installation.get("deployment", "cell", namespace)
        assert tag(now) == before and now["metadata"]["uid"] == serving["metadata"]["uid"]
        assert now["metadata"]["generation"] == serving["metadata"]["generation"], "what serves was touched"
        assert tag(installation.get("deployment", "canary", namespace)) == newer
        installation.kubectl("delete", "poddisruptionbudget", "canary", "-n", namespace)
        seconds = until(
            lambda: ("PodDisruptionBudget", "canary") in shape(people), "what was deleted of the canary is back", 60
        )
        assert seconds <= _MENDED_SECONDS
        kill(people)
        watched = Watched(people, before, newer)
        until(watched.look, "the release is over, with an operator that has died in it", 400, pause=0.3)
        told = status(people, "staged")
        assert told["phase"] == "Complete", (told.get("ended"), told.get("held"), entry(people, "staged"))
        until_settled(people, objects, newer)
    answers = [item.answers for item in (usual, asking, more)]
    assert all(set(item) == {200} for item in answers), answers
    assert watched.weights == sorted(watched.weights), f"users went back while it got through: {watched.weights}"
    assert set(watched.weights) >= {60, 100}, watched.weights
    assert watched.problems == []
    described = installation.kubectl("describe", "cellrelease", "staged")
    assert described.count("StageBegan") >= len(STAGES), described
    with Asking(people, TENANT) as usual:
        people.patch("cellrelease/staged", {"rollback": {"reason": "as it was", "actor": "tests"}})
        until(lambda: status(people, "staged")["phase"] == "RolledBack", "it went back", 180)
        until_settled(people, objects, before)
    assert set(usual.answers) == {200}, usual.answers


def test_a_build_that_answers_with_errors_is_found_at_the_first_stage_and_goes_back(people):
    installation, namespace = people.installation, people.namespace(TENANT)
    before, objects = installation.cluster.image.rpartition(":")[2], shape(people)
    image = installation.cluster.changed("errors", FILE, lambda text: text.replace(LISTING, LISTING + BROKEN))
    serving = installation.get("deployment", "cell", namespace)["metadata"]
    with Asking(people, TENANT) as usual, Asking(people, TENANT, ASKED) as asking, Asking(people, "acme") as other:
        begin(people, "errors", image.rpartition(":")[2])
        begun = ("Shifting", "Failed", "RollingBack", "RolledBack")
        until(lambda: entry(people, "errors").get("phase") in begun, "the cell is in its first stage", 180, pause=0.2)
        asked = usual.answers.total()
        until(lambda: "ended" in status(people, "errors"), "the errors are found", 120, pause=0.2)
        asked = usual.answers.total() - asked
        until(lambda: over(people, "errors"), "the release is over", 120)
        told = status(people, "errors")
        until_settled(people, objects, before)
        since = asking.answers.copy()
        time.sleep(3)
        after = asking.answers - since
    assert (told["phase"], told["ended"]["cause"]) == ("RolledBack", "Failure"), json.dumps(told)[:3000]
    assert told["ended"]["metric"] == "errors" and "more than 5.00 %" in told["ended"]["value"], told["ended"]
    assert entry(people, "errors")["stage"].get("index", 0) == 0
    assert asking.answers[500] > 0 and set(asking.answers) == {200, 500}, asking.answers
    assert set(after) == {200}, f"who asks for a canary after its end gets what serves: {after}"
    # One user in a hundred is sent to what is tried, and the admin may be that one: all in the stage or nothing of it.
    failed = usual.answers.total() - usual.answers[200]
    assert failed == 0 or failed > 0.05 * asked, f"{failed} of {asked} requests failed with the release of before"
    assert set(other.answers) == {200}, f"a cell that nobody touched: {other.answers}"
    now = installation.get("deployment", "cell", namespace)["metadata"]
    assert (now["uid"], now["generation"]) == (serving["uid"], serving["generation"]), "what serves was touched"
    assert not canary(people)
