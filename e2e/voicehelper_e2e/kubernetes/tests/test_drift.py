"""What somebody breaks is mended within ten seconds, and the status says what is wrong meanwhile."""

from __future__ import annotations

import json

import pytest
from voicehelper_cli.failures import Failure

from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]
_MENDED_SECONDS = 10
_PART_OF = "app.kubernetes.io/part-of"
MADE = [
    ("service", "cell"),
    ("secret", "voicehelper-cell"),
    ("networkpolicy", "default-deny"),
    ("networkpolicy", "cell"),
    ("resourcequota", "voicehelper-cell"),
    ("limitrange", "voicehelper-cell"),
    ("poddisruptionbudget", "cell"),
    ("deployment", "cell"),
]
"""What a cell consists of, besides its namespace and its account."""


def there(people, kind, name, namespace):
    try:
        return people.installation.get(kind, name, namespace)["metadata"]["uid"]
    except Failure:
        return None


@pytest.mark.parametrize(("kind", "name"), MADE)
def test_what_is_deleted_is_made_again(people, kind, name):
    namespace = people.namespace("acme")
    before = there(people, kind, name, namespace)
    people.installation.kubectl("delete", kind, name, "-n", namespace, "--wait=false")
    seconds = until(
        lambda: there(people, kind, name, namespace) not in (None, before), f"{kind} is back", 60, pause=0.2
    )
    print(json.dumps({"figure": f"{kind} made again", "seconds": round(seconds, 1)}))
    assert seconds <= _MENDED_SECONDS


@pytest.mark.parametrize(("kind", "name"), [*MADE, ("serviceaccount", "voicehelper-cell")])
def test_what_is_edited_is_set_right(people, kind, name):
    """The operator reads who has written the field, for which it needs a right of its own."""
    namespace = people.namespace("acme")
    people.installation.kubectl("label", kind, name, "-n", namespace, "--overwrite", f"{_PART_OF}=somebody-else")
    seconds = until(
        lambda: people.installation.get(kind, name, namespace)["metadata"]["labels"][_PART_OF] == "voicehelper",
        f"the label of the {kind} is as it was", 60, pause=0.2,
    )  # fmt: skip
    assert seconds <= _MENDED_SECONDS


def test_an_opened_policy_is_closed_again(people):
    namespace = people.namespace("acme")
    opened = json.dumps({"spec": {"egress": [{}]}})
    people.installation.kubectl("patch", "networkpolicy", "cell", "-n", namespace, "--type=merge", "-p", opened)
    seconds = until(
        lambda: people.installation.get("networkpolicy", "cell", namespace)["spec"]["egress"] != [{}],
        "the policy is as it was", 60, pause=0.2,
    )  # fmt: skip
    assert seconds <= _MENDED_SECONDS


def test_the_tenant_answers_after_all_that(people):
    people.installation.kubectl(
        "rollout", "status", "deployment/cell", "-n", people.namespace("acme"), "--timeout=180s"
    )
    with people.client("acme") as client:
        until(lambda: client.get("/api/v1/conversations").status_code == 200, "acme answers", 60)
