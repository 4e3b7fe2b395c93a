"""What the API answers, and to whom. ``UPDATE_GOLDEN=1`` writes the expected documents anew."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from voicehelper_core.errors import PermissionDenied, Unavailable
from voicehelper_core.kubernetes_api.follow import Delta
from voicehelper_core.kubernetes_api.kinds import POD, ours
from voicehelper_crds import Cell

from voicehelper_operator.metrics_adapter import documents
from voicehelper_operator.metrics_adapter.access import Access
from voicehelper_operator.metrics_adapter.api import PEER, CustomMetrics
from voicehelper_operator.metrics_adapter.documents import Value, quantity
from voicehelper_operator.metrics_adapter.rates import Rate
from voicehelper_operator.metrics_adapter.targets import Targets
from voicehelper_operator.metrics_adapter.tests.test_targets import CELL, cell, pod
from voicehelper_operator.metrics_adapter.trust import Caller, Trust

GOLDEN = Path(__file__).parent / "golden"
ROOT = "/apis/custom.metrics.k8s.io/v1beta2"
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
TRUST = Trust.of(
    {
        "requestheader-client-ca-file": "PEM",
        "requestheader-allowed-names": '["aggregator"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
)


class Rating:
    def __init__(self, **known):
        self.known = known

    def rate(self, target):
        number = self.known.get(target.name)
        return None if number is None else Rate(number, 30.0, 0.0)


class Rules:
    async def check(self, caller, namespace, pod):
        if caller.user != HPA:
            raise PermissionDenied(f'User "{caller.user}" cannot')


@pytest.fixture
def custom():
    targets = Targets()
    two = pod("web-2", meta={"labels": {"voicehelper.io/cell": CELL, "app": "web"}})
    for delta in (cell(), pod("web-1"), two, pod("web-3"), Delta("synced", POD, {}), Delta("synced", ours(Cell), {})):
        targets.take(delta)
    found = CustomMetrics(targets, Rating(**{"web-1": 12.3456, "web-2": 1000.0}), Rules())
    found.trust = TRUST
    return found


async def get(custom, path, *, peer="aggregator", user=HPA, **query):
    app = custom.asgi()

    async def connected(scope, receive, send):
        await app({**scope, "state": {PEER: peer}}, receive, send)

    headers = {"X-Remote-User": user, "X-Remote-Group": "system:authenticated"} if user else {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(connected), base_url="http://adapter") as client:
        return await client.get(path, headers=headers, params=query)


def golden(name, document):
    shown = json.dumps(document, indent=2) + "\n"
    file = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(shown)
    assert shown == file.read_text()


@pytest.mark.parametrize(
    ("path", "name"), [("/apis", "groups"), (ROOT.rpartition("/")[0], "group"), (ROOT, "resources")]
)
async def test_discovery(custom, path, name):
    answer = await get(custom, path, user="system:kube-aggregator")
    assert answer.status_code == 200
    golden(name, answer.json())


def test_values_golden():
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    golden(
        "values",
        documents.values([Value("cell-c", "web-1", 12.3456, 29.7, at), Value("cell-c", "web-2", 1000, 30, at)]),
    )


async def test_values_of_all_pods_but_those_that_nobody_knows(custom):
    answer = await get(custom, f"{ROOT}/namespaces/cell-{CELL}/pods/*/http_requests_per_second")
    items = answer.json()["items"]
    assert [(item["describedObject"]["name"], item["value"]) for item in items] == [
        ("web-1", "12346m"),
        ("web-2", "1000"),
    ]
    assert {item["windowSeconds"] for item in items} == {30}


async def test_values_by_selector_by_name_and_of_others(custom):
    path = f"{ROOT}/namespaces/cell-{CELL}/pods/{{}}/http_requests_per_second"

    async def names(pod, **query):
        answer = await get(custom, path.format(pod), **query)
        assert answer.status_code == 200
        return [item["describedObject"]["name"] for item in answer.json()["items"]]

    assert await names("*", labelSelector="app=web") == ["web-2"]
    assert await names("*", labelSelector="app=rag") == []
    assert await names("*", metricLabelSelector="route=a") == []
    assert await names("web-1") == ["web-1"]
    missing = await get(custom, path.format("web-3"))
    assert (missing.status_code, missing.json()["reason"]) == (404, "NotFound")
    other = await get(custom, f"{ROOT}/namespaces/default/pods/*/http_requests_per_second")
    assert other.json()["items"] == []
    bad = await get(custom, path.format("*"), labelSelector="=")
    assert (bad.status_code, bad.json()["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("peer", "user", "code"),
    [(None, HPA, 401), ("stranger", HPA, 401), ("aggregator", "", 401), ("aggregator", "mallory", 403)],
)
async def test_strangers(custom, peer, user, code):
    answer = await get(custom, f"{ROOT}/namespaces/cell-{CELL}/pods/*/http_requests_per_second", peer=peer, user=user)
    assert (answer.status_code, answer.json()["kind"], answer.json()["code"]) == (code, "Status", code)
    assert "web-1" not in answer.text


@pytest.mark.parametrize("path", ["/", "/openapi/v2", f"{ROOT}/namespaces/a/pods/*/other", f"{ROOT}/nodes/a/b"])
async def test_what_is_not_there(custom, path):
    answer = await get(custom, path)
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


async def test_nobody_is_answered_before_it_is_known_whom_to_believe(custom):
    custom.trust = None
    assert (await get(custom, ROOT)).status_code == 503


def test_trust_without_an_aggregation_layer():
    with pytest.raises(Unavailable, match="requestheader-client-ca-file"):
        Trust.of({})


def test_every_header_of_a_caller_is_read():
    headers = httpx.Headers(
        [("X-Remote-User", "u"), ("X-Remote-Group", "a"), ("X-Remote-Group", "b"), ("X-Remote-Extra-Scopes%2fX", "s")]
    )
    from starlette.datastructures import Headers

    caller = TRUST.caller("aggregator", Headers(raw=[(name.lower(), value) for name, value in headers.raw]))
    assert caller == Caller("u", ("a", "b"), {"scopes/x": ["s"]})


async def test_an_answer_about_access_is_kept_for_a_while():
    asked = []

    class Reviews:
        async def create(self, review, *, manager):
            asked.append(review["spec"])
            return {"status": {"allowed": review["spec"]["user"] == HPA}}

    access = Access(Reviews())
    for _ in range(3):
        await access.check(Caller(HPA, ("system:serviceaccounts",)), "cell-a", "*")
    with pytest.raises(PermissionDenied, match="mallory"):
        await access.check(Caller("mallory"), "cell-a", "*")
    await access.check(Caller("root", ("system:masters",)), "cell-a", "*")
    assert [spec["user"] for spec in asked] == [HPA, "mallory"]
    attributes = {"group": "custom.metrics.k8s.io", "version": "v1beta2", "resource": "pods", "verb": "get"}
    assert attributes.items() <= asked[0]["resourceAttributes"].items()
    assert asked[0]["resourceAttributes"]["subresource"] == "http_requests_per_second"


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "0"), (0.0004, "0"), (0.25, "250m"), (12, "12"), (1000, "1000"), (1234.5678, "1234568m")],
)
def test_quantities(number, written):
    assert quantity(number) == written
