"""Pods, namespaces and NetworkPolicies as an API server has them now."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from voicehelper_e2e.network_policies.evaluate import Cluster
from voicehelper_e2e.network_policies.policies import Pod, Policy, Protocol

Manifest = Mapping[str, Any]
_ENDED = ("Succeeded", "Failed")


def cluster(namespaces: Iterable[Manifest], policies: Iterable[Manifest], nodes: Iterable[str] = ()) -> Cluster:
    """What the policies say. Raises KeyError and ValueError for what is no NetworkPolicy."""
    labels = {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in namespaces}
    return Cluster(labels, [Policy.of(item) for item in policies], tuple(nodes))


def pods(manifests: Iterable[Manifest]) -> list[Pod]:
    """Those that have an address of their own: not on the node's network, and not ended. One that is being deleted
    still has its address; where two seem to have the same, it is the younger one's."""
    having = [item for item in manifests if _address(item)]
    having.sort(key=lambda item: str(item["metadata"].get("creationTimestamp") or ""))
    return list({_address(item): pod(item) for item in having}.values())


def pod(manifest: Manifest) -> Pod:
    """One pod; without an address as long as it has none."""
    metadata = manifest["metadata"]
    return Pod(
        metadata["namespace"],
        metadata["name"],
        _address(manifest),
        metadata.get("labels") or {},
        dict(_ports(manifest["spec"])),
    )


def _address(manifest: Manifest) -> str:
    status = manifest.get("status") or {}
    if manifest["spec"].get("hostNetwork") or status.get("phase") in _ENDED:
        return ""
    found = [item["ip"] for item in status.get("podIPs") or ()]
    return next((address for address in found if ipaddress.ip_address(address).version == 4), "")


def _ports(spec: Manifest) -> Iterator[tuple[tuple[str, Protocol], int]]:
    """Of containers, and of those that start before them and stay."""
    staying = [item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"]
    for container in (*staying, *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if name := port.get("name"):
                yield (name, port.get("protocol", "TCP")), port["containerPort"]
