"""What a platform team and its customers do first: install, apply, chat; and what must not be possible."""

from __future__ import annotations

import json

import pytest

from voicehelper_e2e.kubernetes.people import TENANTS, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900), pytest.mark.enable_socket]
NEWS = {
    "acme": "# Opening hours\n\nThe workshop of Acme in Ghent opens at a quarter past seven in the morning.",
    "globex": "# Opening hours\n\nThe laboratory of Globex in Turin opens at ten to nine in the morning.",
}
PLACES = {"acme": "quarter past seven", "globex": "ten to nine"}


def test_a_tenant_is_ready_and_says_where(people):
    for tenant in TENANTS:
        status = people.installation.get("tenant", tenant)["status"]
        conditions = {item["type"]: item["status"] for item in status["conditions"]}
        assert conditions == {
            "Accepted": "True", "Placed": "True", "SlicesReady": "True", "IdentityReady": "True", "Routable": "True",
            "Ready": "True", "Suspended": "False",
        }  # fmt: skip
        assert status["endpoint"] == people.installation.router
        events = people.installation.kubectl("get", "events", "-n", "default", "-o", "json")
        said = {
            item["reason"]
            for item in json.loads(events)["items"]
            if item["involvedObject"].get("name") == tenant and item["involvedObject"]["kind"] == "Tenant"
        }
        assert {"Placed", "Ready"} <= said


@pytest.mark.parametrize("tenant", TENANTS)
def test_chat_with_citation(people, tenant):
    with people.client(tenant) as client:
        document = people.upload(client, f"hours-{tenant}.md", NEWS[tenant])
        answer = people.ask(client, "When does it open in the morning?")
        assert PLACES[tenant] in answer["content"]
        assert document in {citation["document_id"] for citation in answer["citations"]}


def test_a_token_opens_one_tenant_only(people):
    with people.client("acme") as client:
        for tenant in ("globex", "nobody"):
            answer = client.get("/api/v1/conversations", headers={"X-Tenant-ID": tenant})
            assert answer.status_code == 403, answer.text
        assert client.get("/api/v1/conversations", headers={"Authorization": ""}).status_code == 401


def test_a_cell_is_bounded_and_closed(people):
    for tenant in TENANTS:
        namespace = f"cell-{people.installation.get('tenant', tenant)['status']['cellId']}"
        labels = people.installation.get("namespace", namespace)["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        for kind in ("resourcequota", "limitrange", "poddisruptionbudgets"):
            assert json.loads(people.installation.kubectl("get", kind, "-n", namespace, "-o", "json"))["items"]
        (pod,) = json.loads(
            people.installation.kubectl(
                "get",
                "pods",
                "-n",
                namespace,
                "-l",
                "app.kubernetes.io/component=cell",
                "-o",
                "json",
                "--field-selector=status.phase=Running",
            )
        )["items"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert "password" not in json.dumps(pod).lower()


def test_deleting_a_tenant_leaves_nothing(people):
    installation = people.installation
    people.join("initech")
    cell_id = installation.get("tenant", "initech")["status"]["cellId"]
    with people.client("initech") as client:
        people.upload(client, "a.md", "# A\n\nSomething that Initech knows.")
    people.leave("initech")
    left = installation.kubectl("get", "cells,namespaces", "-o", "name").split()
    assert not [name for name in left if "initech" in name or cell_id in name]
    until(lambda: not people.installation.stores.traces(cell_id), "the stores know nothing of the cell", 30)
