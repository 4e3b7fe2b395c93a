"""The API server and containerd are killed: who chats does not notice, and what drifts meanwhile is mended after."""

from __future__ import annotations

import threading
import time

import pytest
from voicehelper_embedded.progress import Progress

from voicehelper_e2e.cluster.bare import BareNode
from voicehelper_e2e.cluster.choose import Way
from voicehelper_e2e.cluster.home import Home
from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]


@pytest.fixture
def node(people):
    if people.installation.cluster.way is not Way.BARE:
        pytest.skip("only a node of our own may be killed")
    node = BareNode(Home.default(), Progress())
    yield node
    node.up()


def statuses(client, stop):
    found = []
    while not stop.is_set():
        found.append(client.get("/api/v1/conversations").status_code)
        time.sleep(0.2)
    return found


@pytest.mark.parametrize("daemon", ["kube-apiserver", "containerd"])
def test_a_part_of_the_node_is_killed(people, node, daemon):
    namespace, answers, stop = people.namespace("acme"), [], threading.Event()
    with people.client("acme") as client:
        asking = threading.Thread(target=lambda: answers.extend(statuses(client, stop)))
        asking.start()
        process = node.daemons.process(daemon)
        assert process is not None
        process.kill()
        time.sleep(5)
        node.up()
        time.sleep(2)
        assert [name for name in node.daemons.names() if not node.daemons.alive(name)] == []
        before = people.installation.get("service", "cell", namespace)["metadata"]["uid"]
        people.installation.kubectl("delete", "networkpolicy", "cell", "-n", namespace)
        until(
            lambda: "cell" in people.installation.kubectl("get", "networkpolicy", "-n", namespace, "-o", "name"),
            "the operator mends again", 60,
        )  # fmt: skip
        stop.set()
        asking.join()
    assert set(answers) == {200}, f"{daemon} was away"
    assert len(answers) > 20
    assert people.installation.get("service", "cell", namespace)["metadata"]["uid"] == before
    pods = people.installation.kubectl("get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].status.phase}")
    assert pods.split() == ["Running"]
