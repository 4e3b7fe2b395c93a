"""Attacks on the namespaces of cells by somebody whose role lets them change namespaces; no operator runs.

They are those of Capsule: CVE-2024-39690 (an owner reference makes a namespace one's own), CVE-2025-55205 (a label
does), GHSA-2ww6-hf35-mfjm (the same by /status and /finalize), CVE-2022-46167 (labels of pod security are taken off).
"""

from __future__ import annotations

import json

import pytest
from voicehelper_e2e.admission.tests.harness import ACCOUNT, Cluster, tenant

pytestmark = pytest.mark.integration
MALLORY = {"user": "mallory", "group": "namespace-editors"}
CELL = "cell-a1b2c3d4e5f6"
LABELS = {
    "app.kubernetes.io/managed-by": "voicehelper-operator",
    "voicehelper.io/cell": "a1b2c3d4e5f6",
    "pod-security.kubernetes.io/enforce": "restricted",
}
MINE, DENIED = "ValidatingAdmissionPolicy 'voicehelper-cell-namespaces'", "denied request: "


def namespace(name, labels=None, **metadata):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}, **metadata}}


@pytest.fixture(scope="module", autouse=True)
def spaces(cluster: Cluster):
    """One of a cell, made by the operator's account, and one of somebody else."""
    cluster.kubectl("create", manifest=namespace(CELL, LABELS), user=ACCOUNT, group="system:serviceaccounts")
    cluster.kubectl("create", manifest=namespace("victim"))
    cluster.kubectl("create", manifest=tenant("mallory"))
    yield
    cluster.kubectl("delete", "namespace", CELL, "victim", "--wait=false")
    cluster.kubectl("delete", "tenant", "mallory")


def patch(name, metadata, *options):
    return ("patch", "namespace", name, "--type=merge", "-p", json.dumps({"metadata": metadata}), *options)


def refused(said, message):
    assert MINE in said, said
    assert DENIED + message in said, said


def owner(cluster, kind="Tenant", name="mallory", version="voicehelper.io/v1alpha1"):
    uid = cluster.kubectl("get", kind.lower(), name, "-o", "jsonpath={.metadata.uid}")
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True}


@pytest.mark.parametrize("target", ["victim", "kube-system", "default"])
@pytest.mark.parametrize("subresource", [(), ("--subresource=status",)])
def test_no_label_makes_a_namespace_a_cells(target, subresource, cluster):
    """CVE-2025-55205: stores, router and inference would be open to it."""
    attack = patch(target, {"labels": {"voicehelper.io/cell": "a1b2c3d4e5f6"}}, *subresource)
    refused(cluster.kubectl(*attack, **MALLORY), "voicehelper.io/cell makes a namespace a cell's")


@pytest.mark.parametrize("target", ["victim", "kube-system"])
@pytest.mark.parametrize("subresource", [(), ("--subresource=status",)])
def test_no_owner_reference_takes_a_namespace_over(target, subresource, cluster):
    """CVE-2024-39690; the namespace would also end with its new owner."""
    attack = patch(target, {"ownerReferences": [owner(cluster)]}, *subresource)
    refused(cluster.kubectl(*attack, **MALLORY), "no resource of voicehelper.io owns a namespace")


@pytest.mark.parametrize("subresource", [(), ("--subresource=status",)])
@pytest.mark.parametrize(
    "change",
    [
        {"voicehelper.io/cell": "ffffffffffff"},
        {"voicehelper.io/cell": None},
        {"pod-security.kubernetes.io/enforce": "privileged"},
        {"pod-security.kubernetes.io/enforce": None},
        {"team": "mallory"},
    ],
)
def test_the_labels_of_a_cells_namespace_stay(change, subresource, cluster):
    """CVE-2022-46167: with them goes what keeps its pods without privileges."""
    refused(
        cluster.kubectl(*patch(CELL, {"labels": change}, *subresource), **MALLORY), "the labels of a cell's namespace"
    )


@pytest.mark.parametrize("subresource", [(), ("--subresource=status",)])
def test_a_cells_namespace_gets_no_owner(subresource, cluster):
    strange = owner(cluster, "Namespace", "victim", "v1")
    for references in ([owner(cluster)], [strange]):
        said = cluster.kubectl(*patch(CELL, {"ownerReferences": references}, *subresource), **MALLORY)
        refused(said, "a namespace of a cell has no owner")


@pytest.mark.parametrize("target", ["victim", CELL])
def test_finalize_is_no_way_around(target, cluster):
    """GHSA-2ww6-hf35-mfjm."""
    found = json.loads(cluster.kubectl("get", "namespace", target, "-o", "json"))
    found["metadata"]["labels"]["voicehelper.io/cell"] = "bbbbbbbbbbbb"
    file = cluster.folder / "finalize.json"
    file.write_text(json.dumps(found))
    said = cluster.kubectl("replace", "--raw", f"/api/v1/namespaces/{target}/finalize", "-f", str(file), **MALLORY)
    refused(said, "the labels of a cell's" if target == CELL else "voicehelper.io/cell makes")


@pytest.mark.parametrize("made", [namespace("cell-mallory"), namespace("cell-aaaaaaaaaaaa", LABELS)])
def test_nobody_else_makes_a_cells_namespace(made, cluster):
    refused(
        cluster.kubectl("create", manifest=made, **MALLORY), "namespaces named cell-* are made by the operator only"
    )


def test_nobody_else_makes_a_namespace_with_the_label(cluster):
    said = cluster.kubectl("create", manifest=namespace("mine", LABELS), **MALLORY)
    refused(said, "voicehelper.io/cell makes a namespace a cell's")


@pytest.mark.parametrize("where", ["victim", CELL])
def test_nothing_else_says_that_it_is_a_cells(where, cluster):
    meta = {"name": "forged", "namespace": where, "labels": {"voicehelper.io/cell": "bbbbbbbbbbbb"}}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    said = cluster.kubectl("create", manifest=made, **MALLORY)
    assert "the label voicehelper.io/cell is the operator's" in said, said
    meta["labels"] = {"voicehelper.io/cell": "a1b2c3d4e5f6"}
    said = cluster.kubectl("create", manifest=made, **MALLORY)
    assert ("created" in said) is (where == CELL), "what a controller of a cell's Deployment does"
    meta |= {"name": "plain", "labels": {}}
    cluster.kubectl("create", manifest=made, **MALLORY)
    label = ("label", "configmap", "plain", "-n", where, "voicehelper.io/cell=bbbbbbbbbbbb")
    assert "is the operator's" in cluster.kubectl(*label, **MALLORY)


def test_what_does_not_concern_cells_is_theirs(cluster):
    assert "created" in cluster.kubectl("create", manifest=namespace("own", {"team": "m"}), **MALLORY)
    assert "patched" in cluster.kubectl(*patch("own", {"labels": {"team": "x"}}), **MALLORY)
    assert "patched" in cluster.kubectl(
        *patch("own", {"ownerReferences": [owner(cluster, "Namespace", "victim", "v1")]}), **MALLORY
    )
    assert "patched" in cluster.kubectl(*patch(CELL, {"annotations": {"note": "x"}}), **MALLORY)
    assert "deleted" in cluster.kubectl("delete", "namespace", "own", "--wait=false", **MALLORY)


def test_the_operator_and_administrators_may(cluster):
    for who in ({"user": ACCOUNT, "group": "system:serviceaccounts"}, {"user": "root", "group": "system:masters"}, {}):
        assert "patched" in cluster.kubectl(
            *patch(CELL, {"labels": {"step": str(len(who)) + who.get("user", "")[:4]}}), **who
        )
