"""Which pods have an address of their own, and what their ports are called."""

from __future__ import annotations

from typing import Any

import pytest
from voicehelper_e2e.network_policies import live


def manifest(name: str = "p", address: str = "10.244.0.5", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": name, "labels": {"app": name}, **more.get("metadata", {})},
        "spec": {"containers": [], **more.get("spec", {})},
        "status": {"phase": "Running", "podIPs": [{"ip": address}] if address else [], **more.get("status", {})},
    }


@pytest.mark.parametrize(
    ("more", "there"),
    [
        ({}, True),
        ({"address": ""}, False),
        ({"address": "fd00::5"}, False),
        ({"status": {"phase": "Succeeded"}}, False),
        ({"status": {"phase": "Failed"}}, False),
        ({"status": {"phase": "Pending"}}, True),  # what starts before the containers has the address already
        ({"spec": {"hostNetwork": True}}, False),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True),
    ],
)
def test_who_has_an_address(more: dict[str, Any], there: bool) -> None:
    assert [pod.address for pod in live.pods([manifest(**more)])] == ["10.244.0.5"] * there


def test_of_two_with_one_address_the_younger_has_it() -> None:
    old = manifest("old", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})
    new = manifest("new", metadata={"creationTimestamp": "2026-01-01T00:00:01Z"})
    for listed in ([old, new], [new, old]):
        assert [pod.name for pod in live.pods(listed)] == ["new"]


def test_ports_have_a_protocol() -> None:
    dns = [{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"name": "dns", "containerPort": 5353}]
    helper = {"restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 1}]}
    once = {"ports": [{"name": "once", "containerPort": 2}, {"containerPort": 3}]}
    spec = {"initContainers": [helper, once], "containers": [{"ports": dns}, {"ports": [{"containerPort": 9}]}]}
    assert live.pod(manifest(spec=spec)).ports == {("side", "TCP"): 1, ("dns", "UDP"): 53, ("dns", "TCP"): 5353}


def test_a_cluster() -> None:
    policy = {"metadata": {"namespace": "a", "name": "deny"}, "spec": {"podSelector": {}}}
    found = live.cluster([{"metadata": {"name": "a"}}], [policy], ["10.0.0.1"])
    [pod] = live.pods([manifest()])
    assert not found.allowed("10.0.0.2", pod, 80)
    assert found.allowed("10.0.0.1", pod, 80)
