"""A tenant moves from the cell that it shares into one of its own, and back, while it and its neighbour are asked."""

from __future__ import annotations

import pytest
from voicehelper_crds import API_VERSION

from voicehelper_e2e.kubernetes.asking import Asking
from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]


@pytest.fixture(autouse=True)
def as_before(people):
    yield
    people.installation.kubectl("delete", "tenantmoves", "--all", "--timeout=120s")


def move(people, name, **target):
    manifest = {"apiVersion": API_VERSION, "kind": "TenantMove", "metadata": {"name": name}}
    spec = {"tenant": "acme", "target": target, "graceSeconds": 0}
    people.installation.cluster.apply(manifest | {"spec": spec})
    until(lambda: status(people, name).get("phase") == "Complete", f"{name} is complete", 240)
    return status(people, name)


def status(people, name):
    return people.installation.get("tenantmove", name).get("status", {})


def test_into_a_cell_of_its_own_and_back(people):
    home = people.installation.get("tenant", "acme")["status"]
    with people.client("acme") as client:
        made = client.post("/api/v1/conversations", json={"title": "Taken along"}).json()["id"]
    with Asking(people, "acme") as one, Asking(people, "globex") as two:
        there = move(people, "out", isolation="dedicated")
        assert there["madeCell"]
        assert people.installation.get("tenant", "acme")["status"]["cell"] == "acme"
        with people.client("acme") as client:
            assert client.get(f"/api/v1/conversations/{made}").status_code == 200
        back = move(people, "in", cell=home["cell"])
    assert set(one.answers) == set(two.answers) == {200}, (one.answers, two.answers)
    print("pauses", there["pauseSeconds"], back["pauseSeconds"])
    assert people.installation.get("tenant", "acme")["status"]["cellId"] == home["cellId"]
    with people.client("acme") as client:
        assert client.get(f"/api/v1/conversations/{made}").json()["title"] == "Taken along"
    until(lambda: "acme" not in [item["metadata"]["name"] for item in people.installation.cluster.listed("cells")],
          "the cell that was made has gone", 120)  # fmt: skip
