"""Whether all that runs has the newest configuration, from what the cluster says."""

from __future__ import annotations

from typing import Any

import pytest
from voicehelper_core.kubernetes_api import kinds as k

from voicehelper_operator.workloads.kubernetes import canaries, naming, states


def pod(component: str, config: str, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    labels, annotations = {naming.COMPONENT: component}, {naming.CONFIG: config}
    return {"metadata": {"labels": labels, "annotations": annotations, **metadata}, "status": {"phase": phase}}


def deployment(component: str, config: str) -> dict[str, Any]:
    template = {"metadata": {"annotations": {naming.CONFIG: config}}}
    return {"metadata": {"labels": {naming.COMPONENT: component}}, "spec": {"template": template}}


TWO = [deployment("web", "1"), deployment("rag", "2")]


@pytest.mark.parametrize(
    ("pods", "newest"),
    [
        ([], True),
        ([pod("web", "1"), pod("web", "1", "Pending"), pod("rag", "2")], True),
        ([pod("web", "1"), pod("rag", "1")], False),
        ([pod("web", "0", deletionTimestamp="2026-01-01T00:00:00Z"), pod("web", "1")], False),
        ([pod("web", "1", deletionTimestamp="2026-01-01T00:00:00Z")], True),
        ([pod("web", "0", "Failed"), pod("web", "0", "Succeeded"), pod("web", "1")], True),
        ([pod("gone", "1")], False),
        ([pod(naming.STEP_COMPONENT, "0"), pod("web", "1")], True),
    ],
)
def test_what_leaves_runs_as_well(pods: list[dict[str, Any]], newest: bool) -> None:
    assert states.newest(TWO, pods) is newest


def test_steps_and_what_has_ended_do_not_run() -> None:
    leaving = pod("web", "1", deletionTimestamp="2026-01-01T00:00:00Z")
    found = [leaving, pod("web", "1", "Failed"), pod("web", "1", "Succeeded"), pod(naming.STEP_COMPONENT, "1")]
    assert states.running(found) == [leaving]


def imaged(component: str, release: str, available: int = 1, **metadata: Any) -> dict[str, Any]:
    """A pod, or a deployment, of a release."""
    spec = {"containers": [{"image": f"registry.example/voicehelper:{release}"}]}
    meta = {"labels": {naming.COMPONENT: component}, "name": component, **metadata}
    status = {"phase": "Running", "availableReplicas": available}
    return {"metadata": meta, "spec": {**spec, "template": {"spec": spec}}, "status": status}


LEAVING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("available", "pods", "answers"),
    [
        (0, [], False),
        (1, [imaged("canary", "r2")], True),
        (1, [imaged("canary", "r1"), imaged("canary", "r2")], False),
        (1, [imaged("canary", "r1", **LEAVING), imaged("canary", "r2")], True),
    ],
)
def test_another_release_that_was_tried_before_does_not_answer_for_this_one(
    available: int, pods: list[dict[str, Any]], answers: bool
) -> None:
    assert states.answers(imaged("canary", "r2", available), pods) is answers


def test_a_canary_without_an_address_gets_nobody() -> None:
    found, pods = [imaged("cell", "r1"), imaged("canary", "r2")], [imaged("canary", "r2")]
    assert canaries.state(found[:1], [], "") is None
    told = canaries.state(found, pods, "")
    assert told is not None and (told.release, told.ready, told.http) == ("r2", False, "")
    told = canaries.state(found, pods, "192.0.2.7")
    assert told is not None and (told.ready, told.http, told.grpc) == (True, "192.0.2.7:8080", "192.0.2.7:9090")


def test_the_walls_of_a_canary_stay_until_its_pods_have_ended() -> None:
    walls = [(kind, imaged("canary", "r2")) for kind in (k.NETWORK_POLICY, k.SERVICE, k.POD_DISRUPTION_BUDGET)]
    unwanted = [(k.DEPLOYMENT, imaged("canary", "r2")), *walls, (k.SERVICE, imaged("older", "r0"))]
    leaving = imaged("canary", "r2", **LEAVING)
    assert canaries.removable(unwanted, [leaving, imaged("cell", "r1")]) == [unwanted[0], unwanted[-1]]
    leaving["status"]["phase"] = "Succeeded"
    assert canaries.removable(unwanted, [leaving]) == unwanted
