"""NetworkPolicies and what they speak of, from manifests as the Kubernetes API has them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["Ingress", "Egress"]
Protocol = Literal["TCP", "UDP", "SCTP"]
Labels = Mapping[str, str]
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: its address, and its ports by name and protocol (a name may stand for one of each)."""

    namespace: str
    name: str
    address: str
    labels: Labels = field(default_factory=dict)
    ports: Mapping[tuple[str, Protocol], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; the empty one selects everything."""

    raw: Mapping[str, Any]

    def __post_init__(self) -> None:
        for expression in self.raw.get("matchExpressions") or ():
            if expression["operator"] not in _OPERATORS:
                raise ValueError(f"unknown operator '{expression['operator']}': one of {', '.join(_OPERATORS)}")

    def selects(self, labels: Labels) -> bool:
        """Whether all that it asks for holds."""
        wanted = self.raw.get("matchLabels") or {}
        expressions = self.raw.get("matchExpressions") or ()
        return all(labels.get(name) == value for name, value in wanted.items()) and all(
            _holds(expression, labels) for expression in expressions
        )


def _holds(expression: Mapping[str, Any], labels: Labels) -> bool:
    """``NotIn`` holds for what has no such label, as in Kubernetes."""
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: pods (of the policy's own namespace, unless one is selected) or addresses."""

    pods: Selector | None
    namespaces: Selector | None
    block: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    without: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the target: its number, its name, all (None), or a range to ``end``."""

    protocol: Protocol
    port: int | str | None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Any of the peers at any of the ports; None: all of them."""

    peers: Sequence[Peer] | None
    ports: Sequence[Port] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """One NetworkPolicy; ``rules`` has an entry for each direction that it isolates."""

    namespace: str
    name: str
    pods: Selector
    rules: Mapping[Direction, Sequence[Rule]]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Policy:
        """Raises KeyError and ValueError for what is no NetworkPolicy."""
        spec, metadata = manifest["spec"], manifest["metadata"]
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        rules: dict[Direction, Sequence[Rule]] = {}
        if "Ingress" in types:
            rules["Ingress"] = [_rule(item, "from") for item in spec.get("ingress") or ()]
        if "Egress" in types:
            rules["Egress"] = [_rule(item, "to") for item in spec.get("egress") or ()]
        return cls(metadata["namespace"], metadata["name"], Selector(spec.get("podSelector") or {}), rules)


def _rule(raw: Mapping[str, Any], peers: str) -> Rule:
    ports = [
        Port(item.get("protocol", "TCP"), item.get("port"), item.get("endPort")) for item in raw.get("ports") or ()
    ]
    return Rule([_peer(item) for item in raw.get(peers) or ()] or None, ports or None)


def _peer(raw: Mapping[str, Any]) -> Peer:
    if block := raw.get("ipBlock"):
        without = [ipaddress.ip_network(item, strict=False) for item in block.get("except") or ()]
        return Peer(None, None, ipaddress.ip_network(block["cidr"], strict=False), without)
    pods, namespaces = raw.get("podSelector"), raw.get("namespaceSelector")
    if pods is None and namespaces is None:
        raise ValueError("a peer has a podSelector, a namespaceSelector or an ipBlock")
    return Peer(
        None if pods is None else Selector(pods),
        None if namespaces is None else Selector(namespaces),
    )
