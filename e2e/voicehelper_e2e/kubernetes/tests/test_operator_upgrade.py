"""A new operator, control plane and router beside a hundred tenants: no pod of a cell is touched, no request fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicehelper_e2e.kubernetes.asking import Asking, SigningIn
from voicehelper_e2e.kubernetes.installation import NAMESPACE
from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900), pytest.mark.enable_socket]
TENANTS = 100
PARTS = ("operator", "identity", "router", "inference", "analytics")
OF_CELLS = "app.kubernetes.io/managed-by=voicehelper-operator"


@pytest.fixture
def crowd(people):
    names = [f"crowd-{number}" for number in range(TENANTS - 2)]
    people.installation.cluster.apply(*(people.manifest(name, plan="team") for name in names))
    people.installation.kubectl(
        "wait", *(f"tenant/{name}" for name in names), "--for=condition=Ready", "--timeout=240s"
    )
    yield people
    people.leave(*names)


def listed(people, kinds):
    """What of cells there is, with the version that the last write gave it; autoscalers write numbers of pods."""
    found = people.installation.cluster.listed(kinds, "-A", "-l", OF_CELLS)
    return {
        (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]): (
            item["metadata"]["uid"],
            _wanted(item),
        )
        for item in found
    }


def _wanted(item):
    """What the operator has written; others write how many replicas there are, and what may be evicted."""
    match item["kind"]:
        case "Deployment":
            return item["spec"]["template"]
        case "PodDisruptionBudget":
            return item["spec"]
    return item["metadata"]["resourceVersion"]


def pods(people):
    """How often each container was started again."""
    return {
        item["metadata"]["uid"]: tuple(status["restartCount"] for status in item["status"]["containerStatuses"])
        for item in people.installation.cluster.listed("pods", "-A", "-l", OF_CELLS)
    }


def versions(people):
    """Which write was the last, of each tenant and cell."""
    found = people.installation.cluster.listed("tenants,cells")
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in found}


def images(people):
    """Of what serves, by part of the platform."""
    found = people.installation.cluster.listed(
        "pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component in ({','.join(PARTS)})",
        "--field-selector=status.phase=Running",
    )  # fmt: skip
    return {
        (item["metadata"]["labels"]["app.kubernetes.io/component"], item["spec"]["containers"][0]["image"])
        for item in found
        if "deletionTimestamp" not in item["metadata"]
    }


def test_a_new_platform_restarts_no_pod_of_a_cell_and_fails_no_request(crowd):
    """Operator, control plane and router get a new version; cells keep theirs until a CellRelease takes them along."""
    installation, kinds = crowd.installation, "deployments,services,secrets,networkpolicies,serviceaccounts,pdb"
    newer = installation.cluster.tagged("newer")
    settled, ran, before = versions(crowd), pods(crowd), listed(crowd, kinds)
    values = {"image": {"tag": "newer"}}
    try:
        with Asking(crowd, "acme") as one, Asking(crowd, "globex") as two, SigningIn(crowd, "acme") as three:
            replace(installation, values=installation.values | values).install(print)
            until(lambda: images(crowd) == {(part, newer) for part in PARTS}, "only the new parts are there", 90)
        assert set(one.answers) == set(two.answers) == {200}, (one.answers, two.answers)
        assert set(three.answers) == {SigningIn.DONE}, three.answers
        crowd.join("newcomer", plan="team")  # it works
        home = crowd.cell("newcomer")["metadata"]["name"]  # counted one more
        crowd.leave("newcomer")
        assert pods(crowd).items() <= ran.items(), "none is new, or was started again"
        assert listed(crowd, kinds) == before
        after = versions(crowd)
        assert {name for name in settled if after[name] != settled[name]} <= {home}
    finally:
        installation.install(print)
