"""Rights and requests, by a small audit log of our own making."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from voicehelper_e2e.charts import render
from voicehelper_e2e.kubernetes.rights import Grant, Incomplete, Request, grants, read, unused

OPERATOR = "voicehelper-prod:operator"
BEGUN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def event(second, verb="get", user=f"system:serviceaccount:{OPERATOR}", code=200, message=None, **about):
    at = f"2026-01-01T12:00:{second:02d}.500000Z"
    status = {"code": code, **({"message": message} if message else {})}
    return {
        "user": {"username": user}, "verb": verb, "responseStatus": status, "requestReceivedTimestamp": at,
        **({"objectRef": about} if about else {}),
    }  # fmt: skip


FIRST = event(0, user="system:serviceaccount:kube-system:resourcequota-controller") | {
    "requestReceivedTimestamp": "2026-01-01T11:59:00.000000Z"
}
EVENTS = [
    FIRST,
    event(1, "list", resource="secrets", name="voicehelper-cell"),
    event(2, "patch", code=201, resource="secrets", namespace="cell-a", name="voicehelper-cell"),
    event(3, "patch", apiGroup="voicehelper.io", resource="tenants", subresource="status", name="acme"),
    event(4, "get", code=404, resource="secrets", namespace="voicehelper-prod", name="one"),
    event(
        5, "get", code=403, message="cannot get", apiGroup="apps", resource="deployments", namespace="cell-a", name="a"
    ),
    event(6, "get"),
    event(7, "get", user="admin", resource="secrets"),
]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in EVENTS))
    return path


def role(kind, name, *rules, **metadata):
    listed = [dict(zip(("apiGroups", "resources", "verbs", "resourceNames"), rule, strict=False)) for rule in rules]
    return {"kind": kind, "metadata": {"name": name, **metadata}, "rules": listed}


def binding(kind, name, role_kind, *subjects, **metadata):
    listed = [{"kind": "ServiceAccount", "name": item, "namespace": "voicehelper-prod"} for item in subjects]
    reference = {"kind": role_kind, "name": name}
    return {"kind": kind, "metadata": {"name": name, **metadata}, "roleRef": reference, "subjects": listed}


def test_what_was_asked(log):
    asked = read(log, BEGUN)
    assert [(item.at.second, item.verb, item.resource, item.code) for item in asked] == [
        (1, "list", "secrets", 200), (2, "patch", "secrets", 201), (3, "patch", "tenants/status", 200),
        (4, "get", "secrets", 404), (5, "get", "deployments", 403), (6, "get", "", 200),
    ]  # fmt: skip
    assert [item.at.second for item in asked if item.refused] == [5]
    assert "cannot get" in str(asked[4])
    assert len(read(log, BEGUN.replace(second=5))) == 2


def test_what_is_granted():
    objects = [
        role("ClusterRole", "all", (["voicehelper.io"], ["tenants"], ["get", "list"])),
        role("Role", "own", ([""], ["secrets"], ["get"], ["a", "b"]), namespace="voicehelper-prod"),
        role("Role", "own", ([""], ["pods"], ["get"]), namespace="elsewhere"),
        binding("ClusterRoleBinding", "all", "ClusterRole", "operator", "router"),
        binding("RoleBinding", "own", "Role", "operator", namespace="voicehelper-prod"),
        binding("RoleBinding", "all", "ClusterRole", "identity", namespace="default"),
        binding("RoleBinding", "of-the-cluster", "Role", "operator", namespace="kube-system"),
        {"kind": "ServiceAccount", "metadata": {"name": "operator"}},
    ]
    tenants = [("get", "voicehelper.io", "tenants"), ("list", "voicehelper.io", "tenants")]
    assert grants(objects) == {
        *(Grant(f"voicehelper-prod:{account}", *each) for account in ("operator", "router") for each in tenants),
        *(Grant("voicehelper-prod:identity", *each, "", "default") for each in tenants),
        *(Grant(OPERATOR, "get", "", "secrets", name, "voicehelper-prod") for name in "ab"),
    }


@pytest.mark.parametrize("rule", [(["*"], ["pods"], ["get"]), ([""], ["*"], ["get"]), ([""], ["pods"], ["*"])])
def test_nobody_may_do_everything(rule):
    with pytest.raises(ValueError, match="needs"):
        grants([role("ClusterRole", "a", rule), binding("ClusterRoleBinding", "a", "ClusterRole", "operator")])


@pytest.mark.parametrize(
    ("grant", "used"),
    [
        (Grant(OPERATOR, "list", "", "secrets", "voicehelper-cell"), True),
        (Grant(OPERATOR, "patch", "", "secrets", "voicehelper-cell"), True),
        (Grant(OPERATOR, "create", "", "secrets", "voicehelper-cell"), True),  # by the apply
        (Grant(OPERATOR, "create", "", "secrets", "", "voicehelper-prod"), False),
        (Grant(OPERATOR, "patch", "", "secrets", "voicehelper-step"), False),
        (Grant(OPERATOR, "get", "", "secrets", "", "voicehelper-prod"), True),  # 404 is an answer
        (Grant(OPERATOR, "get", "apps", "deployments"), False),  # 403 is none
        (Grant(OPERATOR, "patch", "voicehelper.io", "tenants/status"), True),
        (Grant(OPERATOR, "patch", "voicehelper.io", "tenants"), False),
        (Grant(OPERATOR, "create", "voicehelper.io", "tenants/status"), False),
        (Grant("voicehelper-prod:router", "list", "", "secrets", "voicehelper-cell"), False),
        (Grant(OPERATOR, "list", "apps", "secrets", "voicehelper-cell"), False),
    ],
)
def test_what_is_used(grant, used, log):
    assert (unused([grant], read(log, BEGUN)) == set()) is used


def test_a_log_that_begins_too_late_is_not_believed(log):
    with pytest.raises(Incomplete, match="truncated"):
        read(log, BEGUN.replace(hour=9))
    (log.parent / "audit-2026-01-01T11-00-00.000.jsonl").touch()
    with pytest.raises(Incomplete, match="rotated"):
        read(log, BEGUN.replace(hour=9))
    assert read(log, BEGUN), "what is wanted is here"


def test_an_empty_log_and_none(log):
    log.write_text("")
    with pytest.raises(Incomplete, match="truncated"):
        read(log, BEGUN)
    log.unlink()
    with pytest.raises(Incomplete, match="there is no"):
        read(log, BEGUN)


def test_a_broken_line_is_not_passed_over_but_the_last_may_be_half_written(log):
    whole = log.read_text()
    log.write_text(whole + '{"user": {"usern')
    assert len(read(log, BEGUN)) == 6
    log.write_text(whole + '{"user": {"usern\n')
    with pytest.raises(Incomplete, match=r"line 9 .* broken"):
        read(log, BEGUN)


@pytest.mark.integration  # builds Helm, once
def test_what_the_chart_grants_can_be_read():
    found = grants(render.objects(render.template(render.PLATFORM, *render.arguments("production"))))
    assert {item.account.rpartition(":")[2] for item in found} >= {"operator", "identity", "router", "metrics-adapter"}
    assert Grant(OPERATOR, "get", "", "secrets", "", "voicehelper-prod") in found
    assert Grant(OPERATOR, "watch", "", "secrets", "voicehelper-cell") in found
    assert str(Grant("a:b", "get", "apps", "deployments", "c")) == "a:b: get deployments.apps 'c' in all namespaces"


def test_a_request_says_what_it_was():
    shown = str(Request(OPERATOR, "get", "", "pods", "one", "", 403, BEGUN, "no"))
    assert shown == f"12:00:00 {OPERATOR}: get pods 'one': no"
