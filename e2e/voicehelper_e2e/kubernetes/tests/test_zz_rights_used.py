"""After all others: what the charts let their service accounts do is what this run needed, by the API's audit log."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from voicehelper_e2e.cluster.choose import Way
from voicehelper_e2e.cluster.home import Home
from voicehelper_e2e.kubernetes import rights
from voicehelper_e2e.kubernetes.installation import NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120), pytest.mark.enable_socket]


class Excused(NamedTuple):
    """Rights that this run has no need of, and why they stay."""

    account: str
    verbs: str
    resources: str
    why: str


EXCUSED = (
    Excused(
        "operator",
        "delete",
        "serviceaccounts resourcequotas limitranges horizontalpodautoscalers",
        "what a former release or another topology has made and nobody wants any more; a cell goes by its namespace,"
        " and what was tried in it has none of them. charts/tests/test_rights.py does it",
    ),
    Excused(
        "operator",
        "delete",
        "cellreleases",
        "those that ended before the last ten (release_history); so many end here only where all tests run",
    ),
    Excused(
        "operator",
        "get",
        "tenants tenantplans cellclasses cellreleases cellreleasestrategies tenantmoves",
        "read from the API until the watch has told everything, and again where a write met somebody else's",
    ),
    Excused(
        "operator",
        "get",
        "horizontalpodautoscalers",
        "read before an edit is set right; only expanded cells have one, and nobody edits it here",
    ),
)
REFUSED_ON_PURPOSE = ("because it is being terminated",)
"""In a namespace that ends nothing new is made: the operator was quicker than the word of it. No test provokes a
refusal: pods of cells, which tests break out of, have no token (test_isolation)."""


def whole_run(request):
    """Raises Skipped where tests of this folder were left out or have failed: what they use is not known then."""
    files = {path for path in Path(__file__).parent.glob("test_*.py") if "pytest.mark.cluster" in path.read_text()}
    missing = sorted(path.stem for path in files - {item.path for item in request.session.items})
    if missing:
        pytest.skip(f"only a run of the whole folder tells; left out: {', '.join(missing)}")
    if request.session.testsfailed:
        pytest.skip("other tests have failed: what they would have used is not known")


@pytest.fixture(scope="module")
def log():
    return Home.default().logs / "audit.jsonl"


@pytest.fixture(autouse=True)
def audited(installation):
    if installation.cluster.way is not Way.BARE:
        pytest.skip("only the bare node writes an audit log")


def ours(asked):
    return [item for item in asked if item.account.startswith((f"{NAMESPACE}:", "cell-"))]


def test_nobody_was_refused(installation, log):
    """An API server that was just started (test_node_restarts) refuses for a moment what it allows before and after."""
    asked = [*ours(rights.read(log, installation.began))]
    allowed = {_right(item) for item in asked if not item.refused}
    refused = [
        str(item)
        for item in asked
        if item.refused and _right(item) not in allowed and not any(said in item.message for said in REFUSED_ON_PURPOSE)
    ]
    assert refused == []


def _right(item):
    return item.account, item.verb, item.group, item.resource, item.namespace


def test_pods_of_cells_ask_nothing(installation, log):
    asked = ours(rights.read(log, installation.began))
    assert [str(item) for item in asked if item.account.startswith("cell-")] == []


def test_all_rights_are_used(installation, log, request):
    """Since the roles were made: what stayed of an earlier run (VOICEHELPER_E2E_KEEP) has listed its objects then."""
    whole_run(request)
    kinds = "roles,rolebindings,clusterroles,clusterrolebindings"
    objects = installation.cluster.listed(kinds, "-A", "-l", "app.kubernetes.io/part-of=voicehelper")
    made = min(datetime.fromisoformat(item["metadata"]["creationTimestamp"]) for item in objects)
    left = rights.unused(rights.grants(objects), rights.read(log, made))
    assert sorted(str(grant) for grant in left if not excused(grant)) == []


def excused(grant):
    return any(
        grant.account == f"{NAMESPACE}:{one.account}"
        and grant.verb in one.verbs.split()
        and grant.resource in one.resources.split()
        for one in EXCUSED
    )
