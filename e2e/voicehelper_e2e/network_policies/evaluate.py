"""Whether a connection is allowed: by the policies of the pod that begins it, and by those of the pod it goes to."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from voicehelper_e2e.network_policies.policies import Direction, Labels, Peer, Pod, Policy, Port, Protocol, Rule

End = Pod | str
"""A pod, or the address of something that is none."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Who wants to talk to whom."""

    source: End
    target: End
    port: int
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Cluster:
    """Namespaces with their labels, all policies, and addresses of nodes.

    No policy stops what comes from a node, as the probes of kubelet do. What goes to a node is egress like any other:
    stricter than Kubernetes' documentation, which exempts a pod's own node, since a cluster of several has others.
    """

    namespaces: Mapping[str, Labels]
    policies: Sequence[Policy]
    nodes: Collection[str] = ()

    def allowed(self, source: End, target: End, port: int, protocol: Protocol = "TCP") -> bool:
        """Whether ``source`` may open a connection to that port of ``target``; answers come along."""
        if (isinstance(source, str) and source in self.nodes) or source == target:  # no pod can be closed to itself
            return True
        wanted = Connection(source, target, port, protocol)
        return self._lets("Egress", source, wanted) and self._lets("Ingress", target, wanted)

    def isolating(self, pod: Pod, direction: Direction) -> list[Policy]:
        """The policies that select the pod for that direction: without any it is open."""
        return [
            policy
            for policy in self.policies
            if direction in policy.rules and policy.namespace == pod.namespace and policy.pods.selects(pod.labels)
        ]

    def is_peer(self, peer: Peer, policy: Policy, other: End) -> bool:
        """Whether a policy means that end with one of its peers."""
        if peer.block is not None:
            address = ipaddress.ip_address(other if isinstance(other, str) else other.address)
            return address in peer.block and not any(address in block for block in peer.without)
        if isinstance(other, str):
            return False
        if peer.namespaces is None:
            inside = other.namespace == policy.namespace
        else:
            inside = peer.namespaces.selects(self.namespaces.get(other.namespace, {}))
        return inside and (peer.pods is None or peer.pods.selects(other.labels))

    def _lets(self, direction: Direction, pod: End, wanted: Connection) -> bool:
        """Of the policies that isolate a pod one rule of any of them is enough."""
        if isinstance(pod, str):
            return True
        isolating = self.isolating(pod, direction)
        other = wanted.target if direction == "Egress" else wanted.source
        return not isolating or any(
            self._matches(rule, policy, other, wanted) for policy in isolating for rule in policy.rules[direction]
        )

    def _matches(self, rule: Rule, policy: Policy, other: End, wanted: Connection) -> bool:
        peers = rule.peers is None or any(self.is_peer(peer, policy, other) for peer in rule.peers)
        return peers and (rule.ports is None or any(_covers(item, wanted) for item in rule.ports))


def _covers(rule: Port, wanted: Connection) -> bool:
    if rule.protocol != wanted.protocol:
        return False
    if rule.port is None:
        return True
    if isinstance(rule.port, str):
        return isinstance(wanted.target, Pod) and wanted.target.ports.get((rule.port, rule.protocol)) == wanted.port
    return rule.port <= wanted.port <= (rule.end or rule.port)
