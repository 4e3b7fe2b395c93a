"""The operator dies while tenants come and go: the next one goes on where it was."""

from __future__ import annotations

import random
import time

import pytest

from voicehelper_e2e.kubernetes.installation import NAMESPACE
from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900), pytest.mark.enable_socket]
ROUNDS, SEED = 3, 7


def kill(people):
    """Without a moment to end anything. A new pod, so that no back-off of the kubelet is waited for."""
    people.installation.kubectl(
        "delete", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=operator", "--force", "--grace-period=0"
    )


def cells(people):
    return {
        item["metadata"]["name"]: item["status"].get("cellId") for item in people.installation.cluster.listed("cells")
    }


@pytest.fixture(autouse=True)
def nobody_stays(people):
    yield
    people.leave(*(f"mortal-{number}" for number in range(ROUNDS)))


def test_a_dying_operator_neither_doubles_nor_loses(people):
    """Where exactly it dies is told by the tests of its fault points on the API server; here it is anywhere."""
    drawn, before = random.Random(SEED), cells(people)
    for number in range(ROUNDS):
        name = f"mortal-{number}"
        people.installation.cluster.apply(people.manifest(name))
        for _ in range(2):
            time.sleep(drawn.uniform(0.3, 6))
            kill(people)
        people.installation.kubectl("wait", f"tenant/{name}", "--for=condition=Ready", "--timeout=240s")
        assert set(cells(people)) == {*before, name}
        cell_id = cells(people)[name]
        with people.client(name) as client:
            assert client.get("/api/v1/conversations").status_code == 200
        people.installation.kubectl("delete", f"tenant/{name}", "--wait=false")
        for _ in range(2):
            time.sleep(drawn.uniform(0.3, 4))
            kill(people)
        people.installation.kubectl("wait", f"tenant/{name}", "--for=delete", "--timeout=240s")
        assert cells(people) == before
        until(lambda known=cell_id: not people.installation.stores.traces(known), "the stores forget the cell", 60)
        left = people.installation.kubectl("get", "namespaces", "-o", "name")
        assert cell_id not in left
