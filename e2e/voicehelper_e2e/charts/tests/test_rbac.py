"""What each account may ask of the API, and what not: answered by the API server's own authoriser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from voicehelper_cli.failures import Failure
from voicehelper_e2e.charts import render
from voicehelper_e2e.charts.tests.conftest import Cluster

pytestmark = pytest.mark.integration
OWN, CELL, SYSTEM = render.NAMESPACE, "cell-abcdefghijkl", "kube-system"
ACCOUNTS = ("operator", "identity", "router", "analytics", "inference")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
OURS = ("tenants", "tenantplans", "cells", "cellclasses")
GROUPS = {
    **dict.fromkeys(OURS, "voicehelper.io"),
    **dict.fromkeys(("tenants/status", "cells/status", "tenantplans/status", "cellclasses/status"), "voicehelper.io"),
    "deployments": "apps",
    "deployments/scale": "apps",
    "jobs": "batch",
    "networkpolicies": "networking.k8s.io",
    "poddisruptionbudgets": "policy",
    "horizontalpodautoscalers": "autoscaling",
    "leases": "coordination.k8s.io",
    "events": "events.k8s.io",
    **dict.fromkeys(("clusterroles", "clusterrolebindings", "roles", "rolebindings"), "rbac.authorization.k8s.io"),
    "customresourcedefinitions": "apiextensions.k8s.io",
    "validatingadmissionpolicies": "admissionregistration.k8s.io",
    "validatingwebhookconfigurations": "admissionregistration.k8s.io",
}
Question = tuple[str, str, str, str]
"""Verb, resource, namespace, name."""


def answers(cluster: Cluster, account: str, questions: list[Question], folder: Path) -> dict[Question, bool]:
    """All at once: a review each."""
    user = f"system:serviceaccount:{OWN}:{account}"
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{OWN}", "system:authenticated"]
    reviews = []
    for verb, resource, namespace, name in questions:
        base, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb, "group": GROUPS.get(resource, ""), "resource": base, "subresource": subresource,
            "namespace": namespace, "name": name,
        }  # fmt: skip
        spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
        reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    file = folder / "reviews.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews}))
    said = cluster.kubectl("create", "-o", "jsonpath={.status.allowed}{'\\n'}", "-f", str(file)).split()
    return dict(zip(questions, (item == "true" for item in said), strict=True))


def allowed(cluster: Cluster, account: str, questions: list[Question], folder: Path) -> set[Question]:
    return {question for question, yes in answers(cluster, account, questions, folder).items() if yes}


def each(resources: str, verbs: str, namespace: str = "", name: str = "") -> set[Question]:
    return {(verb, resource, namespace, name) for resource in resources.split() for verb in verbs.split()}


ALL = "get list watch create patch delete"
EXPECTED: dict[str, set[Question]] = {
    "operator": {
        *each("tenants tenantplans cells cellclasses", "get list watch"),
        *each("tenants cells tenants/status cells/status", "patch"),
        *each("cells", "create delete"),
        *each("namespaces", ALL),
        *each("pods", "list watch", CELL),
        *each("jobs", "get create delete", CELL),
        *each(
            "serviceaccounts services resourcequotas limitranges deployments networkpolicies poddisruptionbudgets"
            " horizontalpodautoscalers",
            ALL,
            CELL,
        ),
    },
    "identity": {
        *each("tenants", "get list create patch delete"),
        *each("cells", "get list"),
        *each("tenantplans", "get"),
    },
    "router": {*each("tenants cells", "list watch"), *each("cellclasses", "list")},
    "analytics": set(),
    "inference": set(),
}
CLUSTER_SCOPED = (
    *OURS, "tenants/status", "cells/status", "tenantplans/status", "cellclasses/status", "namespaces", "nodes",
    "persistentvolumes", "clusterroles", "clusterrolebindings", "customresourcedefinitions",
    "validatingadmissionpolicies",
)  # fmt: skip
NAMESPACED = (
    "pods", "pods/log", "pods/exec", "serviceaccounts", "serviceaccounts/token", "services", "resourcequotas",
    "limitranges", "configmaps", "persistentvolumeclaims", "deployments", "deployments/scale", "jobs",
    "networkpolicies", "poddisruptionbudgets", "horizontalpodautoscalers", "leases", "events", "roles", "rolebindings",
    "secrets",
)  # fmt: skip


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_may_do_in_a_cells_namespace_and_the_cluster_what_the_code_does_and_no_more(
    account: str, installed: Cluster, tmp_path: Path
) -> None:
    """Every verb of every resource is asked for; what is allowed is exactly what is listed."""
    questions = [(verb, resource, "", "") for resource in CLUSTER_SCOPED for verb in VERBS]
    questions += [(verb, resource, CELL, "") for resource in NAMESPACED for verb in VERBS]
    assert allowed(installed, account, questions, tmp_path) == EXPECTED[account]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_secrets_by_name(account: str, installed: Cluster, tmp_path: Path) -> None:
    names = ("voicehelper-cell", "voicehelper-step", "voicehelper", "other")
    questions = [
        (verb, "secrets", namespace, name) for verb in VERBS for namespace in (CELL, SYSTEM, "") for name in names
    ]
    expected = {
        *(
            question
            for place in (CELL, SYSTEM, "")
            for question in each("secrets", "get list watch create patch", place, "voicehelper-cell")
        ),
        *(
            question
            for place in (CELL, SYSTEM, "")
            for question in each("secrets", "create patch delete", place, "voicehelper-step")
        ),
    }
    assert allowed(installed, account, questions, tmp_path) == (expected if account == "operator" else set())


@pytest.mark.parametrize("account", ACCOUNTS)
def test_in_the_platforms_own_namespace(account: str, installed: Cluster, tmp_path: Path) -> None:
    resources = ("secrets", "leases", "configmaps", "pods/exec", "serviceaccounts/token", "roles", "rolebindings")
    questions = [(verb, resource, OWN, name) for verb in VERBS for resource in resources for name in ("", "operator")]
    expected = {
        *each("secrets", "get create patch delete", OWN),
        *each("secrets", "get create patch delete", OWN, "operator"),
        *each("leases", "create", OWN),
        *each("leases", "create get update", OWN, "operator"),
    }
    assert allowed(installed, account, questions, tmp_path) == (expected if account == "operator" else set())


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_webhook_configuration_can_be_filled_in_and_not_made(
    account: str, installed: Cluster, tmp_path: Path
) -> None:
    resource = "validatingwebhookconfigurations"
    questions = [(verb, resource, "", name) for verb in VERBS for name in ("", "other", "voicehelper-operator")]
    expected = each(resource, "list watch patch", "", "voicehelper-operator") if account == "operator" else set()
    assert allowed(installed, account, questions, tmp_path) == expected


@pytest.mark.parametrize("account", ACCOUNTS)
def test_events(account: str, installed: Cluster, tmp_path: Path) -> None:
    questions = [(verb, "events", place, "") for verb in VERBS for place in ("default", OWN, SYSTEM)]
    expected = each("events", "create get patch", "default") if account == "operator" else set()
    assert allowed(installed, account, questions, tmp_path) == expected


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("create", "namespace", "cell-aaaaaaaaaaaa"), ""),
        (("create", "namespace", "elsewhere"), "in namespaces of cells"),
        (("create", "serviceaccount", "intruder", "-n", SYSTEM), "in namespaces of cells"),
        (("create", "deployment", "intruder", "--image=x", "-n", OWN), "in namespaces of cells"),
        (("delete", "serviceaccount", "router", "-n", OWN), "in namespaces of cells"),
        (("create", "clusterrolebinding", "me", "--clusterrole=cluster-admin", "--user=me"), "cannot create"),
        (("get", "secret", "voicehelper-step", "-n", SYSTEM), "cannot get"),
    ],
)
def test_the_operator_writes_in_the_namespaces_of_cells_only(
    arguments: tuple[str, ...], answer: str, installed: Cluster
) -> None:
    command = (*arguments, f"--as=system:serviceaccount:{OWN}:operator")
    command = (*command, "--dry-run=server") if arguments[0] in ("create", "delete") else command
    if not answer:
        installed.kubectl(*command)
        return
    with pytest.raises(Failure, match=answer):
        installed.kubectl(*command)
