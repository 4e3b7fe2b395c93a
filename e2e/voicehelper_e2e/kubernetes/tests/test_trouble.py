"""What platform teams get wrong, and what is torn out: the status says what is wrong, and a fix is enough."""

from __future__ import annotations

import pytest

from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]


@pytest.fixture(autouse=True)
def as_before(people):
    """What one test leaves wrong is not the next one's trouble."""
    yield
    people.patch("cell/globex", {"classRef": "standard", "release": None})


def said(people, tenant):
    """Why the tenant's cell does not run as it should, as its conditions say."""
    conditions = {item["type"]: item for item in people.cell(tenant)["status"]["conditions"]}
    found = [conditions[kind] for kind in ("Migrated", "WorkloadReady", "RolledOut")]
    return "; ".join(f"{item['reason']}: {item['message']}" for item in found if item["status"] != "True")


def ready(people, tenant):
    return people.cell(tenant)["status"]["phase"] == "Ready" and not said(people, tenant)


def answers(people, tenant):
    with people.client(tenant) as client:
        return client.get("/api/v1/conversations").status_code == 200


def test_an_impossible_memory_request_is_told_and_a_fix_is_enough(people):
    huge = {"apiVersion": "voicehelper.io/v1alpha1", "kind": "CellClass", "metadata": {"name": "huge"}}
    people.installation.cluster.apply(huge | {"spec": {"cpu": "1", "memory": "9000Gi", "postgresConnections": 10}})
    people.patch("cell/globex", {"classRef": "huge"})
    until(lambda: "memory" in said(people, "globex").lower(), "the condition names memory", 90)
    assert answers(people, "globex"), "what ran goes on"
    people.patch("cell/globex", {"classRef": "standard"})
    until(lambda: ready(people, "globex"), "the cell is ready again", 120)
    people.installation.kubectl("delete", "cellclass", "huge")


def test_an_image_that_cannot_be_pulled_is_told_and_a_fix_is_enough(people):
    people.patch("cell/globex", {"release": "never-built"})
    until(lambda: "never-built" in said(people, "globex"), "the release is named", 120)
    assert answers(people, "globex"), "what ran goes on"
    people.patch("cell/globex", {"release": None})
    until(lambda: ready(people, "globex"), "the cell is ready again", 150)


def test_everything_in_the_namespace_is_torn_out(people):
    namespace = people.namespace("globex")
    people.installation.kubectl(
        "delete", "deployments,services,secrets,networkpolicies,serviceaccounts,resourcequotas,limitranges,pdb,pods",
        "--all", "-n", namespace, "--force", "--grace-period=0", "--wait=false",
    )  # fmt: skip
    until(lambda: answers(people, "globex"), "globex answers again", 180)
    until(lambda: ready(people, "globex"), "the cell is ready", 60)


def test_the_namespace_itself_is_torn_out(people):
    with people.client("globex") as client:
        conversation = client.post("/api/v1/conversations", json={"title": "Kept"}).json()["id"]
    people.installation.kubectl("delete", "namespace", people.namespace("globex"), "--timeout=120s")
    until(lambda: answers(people, "globex"), "globex answers again", 180)
    with people.client("globex") as client:
        assert client.get(f"/api/v1/conversations/{conversation}").json()["title"] == "Kept"
