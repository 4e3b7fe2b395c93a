"""Whether all that runs has the newest configuration, from what the cluster says."""

from __future__ import annotations

from typing import Any

import pytest

from voicehelper_operator.workloads.kubernetes import naming, states


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
