"""Cells that sleep: idle until the next request, by hand until they are told, suspended with their tenant."""

from __future__ import annotations

import json
import time

import pytest

from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]
IDLE_SECONDS = 15


def pods(people, tenant):
    listed = people.installation.kubectl("get", "pods", "-n", people.namespace(tenant), "-o", "json")
    return [item["metadata"]["name"] for item in json.loads(listed)["items"]]


@pytest.fixture
def sleepy(people):
    """The cell of globex may fall asleep."""
    people.patch("cell/globex", {"idleAfterSeconds": IDLE_SECONDS})
    yield people
    people.patch("cell/globex", {"idleAfterSeconds": None, "hibernate": False})
    until(lambda: people.cell("globex")["status"]["phase"] == "Ready", "the cell is awake", 120)


def asleep(people, kind):
    status = people.cell("globex")["status"]
    return status.get("hibernation") == kind and not pods(people, "globex")


def test_an_idle_cell_sleeps_and_the_next_request_wakes_it(sleepy, record_property):
    with sleepy.client("globex") as client:
        conversation = client.post("/api/v1/conversations", json={"title": "Before the night"}).json()["id"]
        until(lambda: asleep(sleepy, "Idle"), "the idle cell sleeps", IDLE_SECONDS + 90)
        tenant = sleepy.installation.get("tenant", "globex")["status"]
        told = {item["type"]: (item["status"], item["reason"]) for item in tenant["conditions"]}
        assert told["Routable"] == ("True", "Asleep")
        began = time.monotonic()
        answer = client.get(f"/api/v1/conversations/{conversation}")
        seconds = time.monotonic() - began
        record_property("wake_seconds", round(seconds, 1))
        print(json.dumps({"figure": "wake an idle cell", "seconds": round(seconds, 1)}))
        assert answer.status_code == 200, answer.text
        assert answer.json()["title"] == "Before the night"
        assert sleepy.cell("globex")["status"].get("hibernation", "") == ""


def test_forced_sleep_is_not_undone_by_requests(sleepy):
    sleepy.patch("cell/globex", {"hibernate": True})
    with sleepy.client("globex") as client:
        until(lambda: asleep(sleepy, "Forced"), "the cell sleeps", 90)
        for _ in range(5):
            answer = client.get("/api/v1/conversations")
            assert answer.status_code == 503
            assert answer.json()["type"].endswith("/asleep")
            assert answer.headers["Retry-After"]
        time.sleep(5)
        assert asleep(sleepy, "Forced")
        sleepy.patch("cell/globex", {"hibernate": False})
        until(lambda: client.get("/api/v1/conversations").status_code == 200, "it answers again", 120)


def test_a_suspended_tenant_gets_403_and_its_cell_sleeps(people):
    with people.client("globex") as client:
        conversation = client.post("/api/v1/conversations", json={"title": "Kept"}).json()["id"]
        people.patch("tenant/globex", {"suspended": True})
        until(lambda: client.get("/api/v1/conversations").status_code == 403, "403", 30)
        until(lambda: asleep(people, "Forced"), "nothing runs for a suspended tenant", 90)
        people.patch("tenant/globex", {"suspended": False})
        until(lambda: client.get(f"/api/v1/conversations/{conversation}").status_code == 200, "it is there again", 120)
