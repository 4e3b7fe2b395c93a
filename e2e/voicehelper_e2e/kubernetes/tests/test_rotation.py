"""A cell gets new passwords while it is asked: pods are replaced one by one, and no request fails."""

from __future__ import annotations

import time

import pytest

from voicehelper_e2e.kubernetes.asking import Asking
from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]
ANNOTATION = "voicehelper.io/rotate-credentials"


def credentials(people):
    return people.cell("globex")["status"]["credentials"]


@pytest.mark.parametrize("time_of_asking", ["once", "and back"])
def test_no_request_fails_and_one_account_is_left(people, time_of_asking):
    cell, before = people.cell("globex"), credentials(people)
    kubectl = people.installation.kubectl
    with Asking(people, "globex") as asking:
        kubectl("annotate", "cell", cell["metadata"]["name"], "--overwrite", f"{ANNOTATION}={time.time()}")

        def rotated():
            now = credentials(people)
            return now["account"] != before["account"] and not now.get("rotation")

        until(rotated, "the passwords are rotated", 180)
        time.sleep(2)
    assert set(asking.answers) == {200}, asking.answers
    cell_id = cell["status"]["cellId"]
    users = [trace for trace in people.installation.stores.traces(cell_id) if trace.startswith("user ")]
    assert users == [f"user {cell_id}" + ("_b" if credentials(people)["account"] == "b" else "")]
    assert "CredentialsRotated" in kubectl("describe", "cell", cell["metadata"]["name"])
