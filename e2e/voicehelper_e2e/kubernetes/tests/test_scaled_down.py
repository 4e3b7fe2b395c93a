"""The replica of ``test_autoscaling.py`` goes again, after the five minutes of the founding numbers."""

from __future__ import annotations

import json
import time

import pytest

from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900), pytest.mark.enable_socket]


def test_who_is_not_asked_any_more_gives_its_replica_back(wide):
    if not wide.scaled_up:
        pytest.fail("it was not scaled up: run test_autoscaling.py with this one")
    until(lambda: wide.replicas("web") == (1, 1), "one replica of web", 600)
    print(json.dumps({"figure": "back to one replica", "seconds": round(time.monotonic() - wide.scaled_up[0], 1)}))
    with wide.people.client("initrode") as client:
        assert client.get("/api/v1/conversations").status_code == 200
