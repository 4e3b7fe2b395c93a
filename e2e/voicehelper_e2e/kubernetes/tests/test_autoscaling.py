"""A service that is asked more gets another replica. That it goes again takes minutes: ``test_scaled_down.py``."""

from __future__ import annotations

import json
import time

import pytest

from voicehelper_e2e.kubernetes.people import until
from voicehelper_e2e.kubernetes.wide import MOST_REPLICAS, REQUESTS_PER_SECOND, adapter_ready

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]
NEWS = "# Opening hours\n\nThe harbour office of Initrode in Genoa opens at half past five in the morning."


def test_an_expanded_cell_answers_with_a_citation(wide):
    with wide.people.client("initrode") as client:
        document = wide.people.upload(client, "hours.md", NEWS)
        answer = wide.people.ask(client, "When does it open in the morning?")
    assert "half past five" in answer["content"]
    assert document in {citation["document_id"] for citation in answer["citations"]}


def test_who_is_asked_much_gets_another_replica(wide):
    until(lambda: adapter_ready(wide.people), "the adapter serves metrics", 120)
    assert wide.replicas("web") == (1, 1)
    with wide.asked() as statuses:
        seconds = until(lambda: wide.replicas("web") == (MOST_REPLICAS, MOST_REPLICAS), "two replicas of web", 180)
        wide.scaled_up.append(time.monotonic())
        until(lambda: (wide.requests("web") or 0) > REQUESTS_PER_SECOND, "requests of both are counted", 60)
    print(json.dumps({"figure": "another replica of web", "seconds": round(seconds, 1), "requests": len(statuses)}))
    assert set(statuses) == {200}
    assert wide.replicas("rag")[0] == 1, "nobody asked that one"
