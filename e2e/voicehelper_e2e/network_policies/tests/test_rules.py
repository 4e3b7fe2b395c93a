"""The rules say what the policies say, and nftables takes them."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_e2e.network_policies.evaluate import Cluster
from voicehelper_e2e.network_policies.policies import Pod, Policy, Protocol
from voicehelper_e2e.network_policies.rules import ruleset
from voicehelper_e2e.network_policies.tests.simulator import Packet, Ruleset

NETWORK, NODE, WORLD = "10.244.0.0/24", "10.250.0.2", ["10.250.0.1", "192.0.2.7"]
NAMESPACES = {"a": {"team": "one"}, "b": {"team": "two"}}
WEB = Pod("a", "web", "10.244.0.10", {"app": "web"}, {("http", "TCP"): 8080, ("dns", "UDP"): 53})
TWIN = Pod("a", "twin", "10.244.0.9", {"app": "web"}, {("http", "TCP"): 9090})
DB = Pod("a", "db", "10.244.0.11", {"app": "db"})
OTHER = Pod("b", "web", "10.244.0.20", {"app": "web"}, {("http", "TCP"): 8080})
PODS = [WEB, TWIN, DB, OTHER]


def policy(text: str, name: str = "p", namespace: str = "a") -> Policy:
    return Policy.of({"metadata": {"namespace": namespace, "name": name}, "spec": yaml.safe_load(text)})


def rendered(*policies: Policy, pods: list[Pod] = PODS) -> str:
    return ruleset(Cluster(NAMESPACES, policies), pods, NETWORK, "cni0")


WEB_IN = policy(
    "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}},"
    " {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.2.0/24, 10.244.0.0/24]}}],"
    " ports: [{port: http}, {port: 8000, endPort: 8100}, {protocol: UDP}]}]}",
    "web-in",
)
ALL_OUT = policy("{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}", "all-out")
GOLDEN = """\
table inet vh-network-policies
delete table inet vh-network-policies
table inet vh-network-policies {
  set known {
    type ipv4_addr
    elements = { 10.244.0.1, 10.244.0.9, 10.244.0.10, 10.244.0.11, 10.244.0.20 }
  }
  set itself {
    type ipv4_addr . ipv4_addr
    elements = { 10.244.0.9 . 10.244.0.9, 10.244.0.10 . 10.244.0.10, 10.244.0.11 . 10.244.0.11, 10.244.0.20 . 10.244.0.20 }
  }
  chain egress-1 {
    udp dport 53 return comment "a/all-out"
    drop
  }
  map egress {
    type ipv4_addr : verdict
    elements = { 10.244.0.9 : jump egress-1, 10.244.0.10 : jump egress-1, 10.244.0.11 : jump egress-1 }
  }
  chain ingress-1 {
    ip saddr { 10.244.0.11 } ip daddr . tcp dport { 10.244.0.9 . 9090, 10.244.0.10 . 8080 } return comment "a/web-in"
    ip saddr { 10.244.0.11 } tcp dport 8000-8100 return comment "a/web-in"
    ip saddr { 10.244.0.11 } meta l4proto udp return comment "a/web-in"
    ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16, 10.244.0.0/24 } ip daddr . tcp dport { 10.244.0.9 . 9090, 10.244.0.10 . 8080 } return comment "a/web-in"
    ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16, 10.244.0.0/24 } tcp dport 8000-8100 return comment "a/web-in"
    ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16, 10.244.0.0/24 } meta l4proto udp return comment "a/web-in"
    drop
  }
  map ingress {
    type ipv4_addr : verdict
    elements = { 10.244.0.9 : jump ingress-1, 10.244.0.10 : jump ingress-1 }
  }
  chain forward {
    type filter hook forward priority filter - 10; policy accept;
    ct state established,related accept
    meta nfproto ipv6 meta l4proto != ipv6-icmp drop
    ip saddr . ip daddr @itself accept
    ip saddr 10.244.0.0/24 ip saddr != @known drop
    ip daddr 10.244.0.0/24 ip daddr != @known drop
    ip saddr vmap @egress
    ip daddr vmap @ingress
  }
  chain input {
    type filter hook input priority filter - 10; policy accept;
    ct state established,related accept
    iifname "cni0" meta nfproto ipv6 meta l4proto != ipv6-icmp drop
    ip saddr 10.244.0.0/24 ip saddr != @known drop
    ip saddr vmap @egress
  }
}
"""  # noqa: E501


def test_a_whole_ruleset() -> None:
    assert rendered(WEB_IN, ALL_OUT) == GOLDEN
    assert rendered(ALL_OUT, WEB_IN, pods=PODS[::-1]) == GOLDEN  # order does not matter


def test_unknown_addresses_of_the_pods_network_are_closed() -> None:
    found = Ruleset(rendered())
    unknown = "10.244.0.77"
    for saddr, daddr in [(unknown, WEB.address), (WEB.address, unknown), (unknown, WORLD[0]), (WORLD[0], unknown)]:
        assert not found.lets(Packet(saddr, daddr, "tcp", 80))
    assert not found.lets(Packet(unknown, NODE, "tcp", 6443), "input")
    assert found.lets(Packet("10.244.0.1", "10.244.0.1", "tcp", 80), "input")
    assert found.lets(Packet(WEB.address, NODE, "tcp", 6443), "input")


def test_an_end_that_is_no_pod_is_stopped_by_none_of_its_own() -> None:
    assert Ruleset(rendered(WEB_IN, ALL_OUT)).lets(Packet(WORLD[0], WORLD[1], "tcp", 80))


selectors = st.sampled_from([{}, {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "db"}}])
blocks = ["0.0.0.0/0", "10.0.0.0/8", "10.244.0.0/24", "10.244.0.10/32", "10.250.0.1/32", "192.0.2.9/24", "::/0"]
peers = st.one_of(
    st.fixed_dictionaries(
        {"namespaceSelector": st.sampled_from([{}, {"matchLabels": {"team": "two"}}])},
        optional={"podSelector": selectors},
    ),
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries(
        {
            "ipBlock": st.fixed_dictionaries(
                {"cidr": st.sampled_from(blocks)},
                optional={"except": st.lists(st.sampled_from(blocks[1:]), max_size=3)},
            )
        }
    ),
)
numbers = st.sampled_from([53, 80, 8080, 9090])
protocols = st.sampled_from(["TCP", "UDP", "SCTP"])
ports = st.one_of(
    st.fixed_dictionaries({"port": st.sampled_from(["http", "dns", "none"])}, optional={"protocol": protocols}),
    st.fixed_dictionaries({"port": numbers}, optional={"protocol": protocols, "endPort": st.just(9090)}),
    st.fixed_dictionaries({"protocol": protocols}),
)


def directed(name: str) -> Any:
    rule = st.fixed_dictionaries({}, optional={name: st.lists(peers, max_size=3), "ports": st.lists(ports, max_size=3)})
    return st.lists(rule, max_size=3)


specs = st.fixed_dictionaries(
    {"podSelector": selectors},
    optional={
        "ingress": directed("from"),
        "egress": directed("to"),
        "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    },
)
policies = st.builds(
    lambda namespace, name, spec: Policy.of({"metadata": {"namespace": namespace, "name": name}, "spec": spec}),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["x", "y"]),
    specs,
)
clusters = st.lists(policies, max_size=5)
ends = st.sampled_from([*PODS, *WORLD])


PROBES: list[tuple[Protocol, int]] = [
    ("TCP", 80), ("TCP", 8080), ("TCP", 9090), ("UDP", 53), ("UDP", 8080), ("SCTP", 80),
]  # fmt: skip


def compare(listed: list[Policy]) -> None:
    """For every pair of ends, and every port."""
    world = Cluster(NAMESPACES, listed, nodes=[NODE])
    found = Ruleset(ruleset(world, PODS, NETWORK, "cni0"))
    for source in (*PODS, *WORLD):
        for target in (*PODS, *WORLD, NODE):
            if isinstance(source, str) and isinstance(target, str):
                continue
            for protocol, port in PROBES:
                packet = Packet(_address(source), _address(target), protocol.lower(), port)
                lets = found.lets(packet, "input" if target == NODE else "forward")
                assert lets is world.allowed(source, target, port, protocol), (source, target, protocol, port)


@settings(deadline=None)  # the machine may have other work
@given(clusters)
def test_the_rules_say_what_the_policies_say(listed: list[Policy]) -> None:
    compare(listed)


def alone(peer: dict[str, Any] | None, port: dict[str, Any] | None) -> list[Policy]:
    """One rule, in both directions, of one policy for a namespace."""
    rule = {"ports": [port]} if port else {}
    spec = {
        "podSelector": {},
        "ingress": [{**rule, "from": [peer]} if peer else rule],
        "egress": [{**rule, "to": [peer]} if peer else rule],
    }
    return [Policy.of({"metadata": {"namespace": "a", "name": "p"}, "spec": spec})]


@pytest.mark.parametrize("block", blocks)
def test_each_block_with_each_hole(block: str) -> None:
    for hole in (None, *blocks[1:]):
        compare(alone({"ipBlock": {"cidr": block, "except": [hole] if hole else []}}, None))


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
def test_each_port(protocol: str) -> None:
    for port in ({}, {"port": "http"}, {"port": "dns"}, {"port": 53}, {"port": 80, "endPort": 8080}, {"port": 8080}):
        compare(alone(None, {**port, "protocol": protocol}))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs nftables as root")
@settings(max_examples=20, deadline=None)  # a process each
@given(st.lists(clusters, min_size=1, max_size=20))
def test_nftables_takes_them(listed: list[list[Policy]]) -> None:
    """One after the other, in a network namespace of their own that goes with the process."""
    text = "".join(rendered(*one) for one in listed)
    command = ["unshare", "--net", "nft", "-f", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _address(end: Pod | str) -> str:
    return end if isinstance(end, str) else end.address
