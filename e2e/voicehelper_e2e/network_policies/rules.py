"""Rules of nftables that let through what the NetworkPolicies of a cluster allow: a test tool.

For one node whose pods are on a bridge, with ``bridge-nf-call-iptables``: there what a pod sends to another passes the
hook ``forward``, and what it sends to the node ``input``; a Service's address has become a pod's by then. What the node
sends passes neither, so probes of kubelet are never stopped.

New connections are looked at twice, as NetworkPolicies say: by the policies of the pod that begins (map ``egress``) and
by those of the pod that it goes to (map ``ingress``). Pods that the same policies select share a chain: what a rule
allows returns from it, and the rest is dropped at its end. Dropped and not refused, so that clients try again: they
bear the moment in which a new pod is not known yet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from voicehelper_e2e.network_policies.evaluate import Cluster
from voicehelper_e2e.network_policies.policies import Direction, Peer, Pod, Policy, Port

TABLE = "inet vh-network-policies"

_COMMENT = 100
"""Characters; nftables takes 128."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two looks: ``name`` is that of its map, ``other`` the field with the other end's address."""

    direction: Direction
    name: str
    other: str


_SIDES = (_Side("Egress", "egress", "daddr"), _Side("Ingress", "ingress", "saddr"))


def ruleset(cluster: Cluster, pods: Iterable[Pod], network: str, bridge: str) -> str:
    """Input of ``nft -f``: it takes the place of the table in one step. The same state gives the same text.

    All pods have addresses of ``network``, whose first is that of the ``bridge``. Nothing new from or to an address of
    it that no known pod has is let through.
    """
    pods = sorted(pods, key=lambda pod: ipaddress.ip_address(pod.address))
    first = next(ipaddress.ip_network(network).hosts())
    lines = [
        *_set("set known", "ipv4_addr", [str(first), *(pod.address for pod in pods)]),
        *_set("set itself", "ipv4_addr . ipv4_addr", [f"{pod.address} . {pod.address}" for pod in pods]),
    ]
    for side in _SIDES:
        jumps = []
        for number, (policies, selected) in enumerate(_groups(cluster, pods, side.direction), 1):
            chain = f"{side.name}-{number}"
            jumps += [f"{pod.address} : jump {chain}" for pod in selected]
            targets = pods if side.direction == "Egress" else selected
            allowed = [line for policy in policies for line in _allowed(cluster, policy, side, pods, targets)]
            lines += _chain(chain, [*allowed, "drop"])
        lines += _set(f"map {side.name}", "ipv4_addr : verdict", jumps)
    unknown = f"ip saddr {network} ip saddr != @known drop"
    lines += _chain(
        "forward",
        [
            "type filter hook forward priority filter - 10; policy accept;",
            "ct state established,related accept",
            "meta nfproto ipv6 meta l4proto != ipv6-icmp drop",  # Kubernetes knows no such addresses of these pods
            "ip saddr . ip daddr @itself accept",  # by way of a Service
            unknown,
            f"ip daddr {network} ip daddr != @known drop",
            "ip saddr vmap @egress",
            "ip daddr vmap @ingress",
        ],
    )
    lines += _chain(
        "input",
        [
            "type filter hook input priority filter - 10; policy accept;",
            "ct state established,related accept",
            f'iifname "{bridge}" meta nfproto ipv6 meta l4proto != ipv6-icmp drop',
            unknown,
            "ip saddr vmap @egress",
        ],
    )
    # The first line makes the table where it is missing, since what is not there cannot be deleted.
    return "\n".join([f"table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{", *lines, "}", ""])


def _groups(
    cluster: Cluster, pods: Sequence[Pod], direction: Direction
) -> Iterator[tuple[Sequence[Policy], Sequence[Pod]]]:
    """Pods that the same policies isolate, with these policies."""
    found: dict[tuple[int, ...], tuple[Sequence[Policy], list[Pod]]] = {}
    for pod in pods:
        policies = sorted(cluster.isolating(pod, direction), key=lambda policy: policy.name)
        if policies:
            found.setdefault(tuple(map(id, policies)), (policies, []))[1].append(pod)
    yield from found.values()


def _allowed(
    cluster: Cluster, policy: Policy, side: _Side, pods: Sequence[Pod], targets: Sequence[Pod]
) -> Iterator[str]:
    """Rules for what the policy lets through; ``targets`` are the pods that it may go to."""
    verdict = f'return comment "{f"{policy.namespace}/{policy.name}"[:_COMMENT]}"'
    for rule in policy.rules[side.direction]:
        peers = [""] if rule.peers is None else _peers(cluster, policy, rule.peers, side.other, pods)
        ports = [""] if rule.ports is None else [match for port in rule.ports for match in _port(port, targets)]
        yield from (" ".join(filter(None, (peer, port, verdict))) for peer in peers for port in ports)


def _peers(cluster: Cluster, policy: Policy, peers: Sequence[Peer], other: str, pods: Sequence[Pod]) -> Iterator[str]:
    """What matches the other end's address: one set for all that are pods, and each block of addresses."""
    selecting = [peer for peer in peers if peer.block is None]
    meant = [pod.address for pod in pods if any(cluster.is_peer(peer, policy, pod) for peer in selecting)]
    if meant:
        yield f"ip {other} {{ {', '.join(meant)} }}"
    for block, without in ((peer.block, peer.without) for peer in peers):
        if isinstance(block, ipaddress.IPv4Network):
            holes = ipaddress.collapse_addresses(hole for hole in without if isinstance(hole, ipaddress.IPv4Network))
            listed = ", ".join(map(str, holes))
            yield f"ip {other} {block}" + (f" ip {other} != {{ {listed} }}" if listed else "")


def _port(port: Port, targets: Sequence[Pod]) -> Iterator[str]:
    """What matches the port; a name stands for what it means in each of the targets."""
    protocol = port.protocol.lower()
    if port.port is None:
        yield f"meta l4proto {protocol}"
    elif isinstance(port.port, int):
        yield f"{protocol} dport {port.port}" + (f"-{port.end}" if port.end else "")
    else:
        key = (port.port, port.protocol)
        if meant := [f"{pod.address} . {pod.ports[key]}" for pod in targets if key in pod.ports]:
            yield f"ip daddr . {protocol} dport {{ {', '.join(meant)} }}"


def _set(name: str, kind: str, elements: Sequence[str]) -> list[str]:
    listed = [f"elements = {{ {', '.join(elements)} }}"] if elements else []
    return _chain(name, [f"type {kind}", *listed], "")


def _chain(name: str, lines: Sequence[str], kind: str = "chain ") -> list[str]:
    return [f"  {kind}{name} {{", *(f"    {line}" for line in lines), "  }"]
