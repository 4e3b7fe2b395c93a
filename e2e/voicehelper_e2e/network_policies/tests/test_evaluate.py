"""The semantics of NetworkPolicy, case by case, and what holds for all of them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_e2e.network_policies.evaluate import Cluster
from voicehelper_e2e.network_policies.policies import Pod, Policy, Selector

NAMESPACES = {
    "a": {"kubernetes.io/metadata.name": "a", "team": "one"},
    "b": {"kubernetes.io/metadata.name": "b", "team": "two"},
}
WEB = Pod("a", "web", "10.0.0.1", {"app": "web"}, {("http", "TCP"): 8080})
DB = Pod("a", "db", "10.0.0.2", {"app": "db"})
OTHER = Pod("b", "web", "10.0.1.1", {"app": "web"})
PODS = [WEB, DB, OTHER]
WORLD, NODE = "192.0.2.7", "192.0.2.8"


def policy(text: str, namespace: str = "a") -> Policy:
    return Policy.of({"metadata": {"namespace": namespace, "name": "p"}, "spec": yaml.safe_load(text)})


def cluster(*specs: str) -> Cluster:
    return Cluster(NAMESPACES, [policy(spec) for spec in specs])


def reaches(world: Cluster, target: Pod = WEB, port: int = 8080) -> list[bool]:
    """Whether the other pod, the other namespace's and the world reach it."""
    return [world.allowed(source, target, port) for source in (DB, OTHER, WORLD)]


def test_without_policies_everything_is_open() -> None:
    assert reaches(cluster()) == [True, True, True]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("podSelector: {}", [False, False, False]),
        ("{podSelector: {}, ingress: [{}]}", [True, True, True]),
        ("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", [True, False, False]),
        ("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}", [True, True, False]),
        (
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: two}}}]}]}",
            [False, True, False],
        ),
        (  # one peer: both have to hold
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}]}]}",
            [True, False, False],
        ),
        (  # two peers: one is enough
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: two}}},"
            " {podSelector: {matchLabels: {app: db}}}]}]}",
            [True, True, False],
        ),
        (
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/24]}}]}]}",
            [False, True, True],
        ),
        (  # bits after the prefix do not matter
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.1.9/24}}]}]}",
            [False, True, False],
        ),
        ("{podSelector: {}, ingress: [{ports: [{port: http}]}]}", [True, True, True]),
        ("{podSelector: {}, ingress: [{ports: [{port: http, protocol: UDP}]}]}", [False, False, False]),
        ("{podSelector: {}, ingress: [{ports: [{port: 8081}]}]}", [False, False, False]),
        ("{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8100}]}]}", [True, True, True]),
        ("{podSelector: {}, ingress: [{ports: [{port: 8080, protocol: UDP}]}]}", [False, False, False]),
        ("{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 1}]}]}", [False, False, False]),
        ("{podSelector: {matchLabels: {app: db}}}", [True, True, True]),
        ("{podSelector: {}, policyTypes: [Egress]}", [False, True, True]),
    ],
)  # fmt: skip
def test_one_policy(spec: str, expected: list[bool]) -> None:
    assert reaches(cluster(spec)) == expected


def test_egress_is_the_beginner_s_and_ports_are_the_target_s() -> None:
    world = cluster(
        "{podSelector: {matchLabels: {app: db}}, egress: [{to: [{podSelector: {}}], ports: [{port: http}]}]}"
    )
    assert world.allowed(DB, WEB, 8080)
    assert not world.allowed(DB, WEB, 8081)
    assert not world.allowed(DB, OTHER, 8080)
    assert not world.allowed(DB, WORLD, 443)
    assert not world.allowed(WEB, DB, 5432)  # egress alone, where no types are given, still isolates ingress


def test_a_pod_reaches_itself_and_a_node_reaches_every_pod() -> None:
    deny = policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")
    world = Cluster(NAMESPACES, [deny], nodes=[NODE])
    assert world.allowed(WEB, WEB, 8080)
    assert world.allowed(NODE, WEB, 8080)
    assert not world.allowed(WEB, NODE, 6443)
    assert not world.allowed(WORLD, WEB, 8080)


def test_policies_add_up() -> None:
    world = cluster(
        "podSelector: {}", "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {}}]}]}"
    )
    assert reaches(world) == [True, False, False]
    assert reaches(world, DB) == [True, False, False]  # itself


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("{key: app, operator: In, values: [web]}", True),
        ("{key: app, operator: NotIn, values: [web]}", False),
        ("{key: tier, operator: NotIn, values: [web]}", True),
        ("{key: app, operator: Exists}", True),
        ("{key: app, operator: DoesNotExist}", False),
    ],
)
def test_expressions(expression: str, selected: bool) -> None:
    assert Selector({"matchExpressions": [yaml.safe_load(expression)]}).selects(WEB.labels) is selected


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown operator"):
        Selector({"matchExpressions": [{"key": "a", "operator": "Gt"}]})
    with pytest.raises(ValueError, match="a peer has"):
        policy("{podSelector: {}, ingress: [{from: [{}]}]}")


selectors = st.sampled_from([{}, {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "db"}}])
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": st.sampled_from([{}, {"matchLabels": {"team": "two"}}])}),
    st.sampled_from(
        [{"ipBlock": {"cidr": "10.0.0.0/24"}}, {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]
    ),
)
ports = st.sampled_from([{"port": 8080}, {"port": "http"}, {"port": 8000, "endPort": 9000}, {"protocol": "UDP"}])


def rules(name: str) -> Any:
    return st.lists(
        st.fixed_dictionaries({}, optional={name: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)}),
        max_size=2,
    )


specs = st.fixed_dictionaries(
    {"podSelector": selectors},
    optional={
        "ingress": rules("from"),
        "egress": rules("to"),
        "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    },
)
manifests = st.builds(
    lambda namespace, spec: Policy.of({"metadata": {"namespace": namespace, "name": "p"}, "spec": spec}),
    st.sampled_from(["a", "b"]),
    specs,
)
ends = st.sampled_from([*PODS, WORLD])


@given(st.lists(manifests, max_size=4), ends, ends, st.sampled_from([80, 8080]))
def test_what_two_sides_each_allow_is_what_is_allowed(
    policies: list[Policy], source: Any, target: Any, port: int
) -> None:
    """Egress policies of others, and ingress policies of others, do not matter."""

    def alone(end: Any, direction: str) -> list[Policy]:
        mine = [one for one in policies if isinstance(end, Pod) and one.namespace == end.namespace]
        return [
            Policy(one.namespace, one.name, one.pods, {d: r for d, r in one.rules.items() if d == direction})
            for one in mine
        ]

    out, into = Cluster(NAMESPACES, alone(source, "Egress")), Cluster(NAMESPACES, alone(target, "Ingress"))
    expected = source == target or (out.allowed(source, target, port) and into.allowed(source, target, port))
    assert Cluster(NAMESPACES, policies).allowed(source, target, port) is expected


@given(st.lists(manifests, min_size=1, max_size=4), ends, ends, st.sampled_from([80, 8080]))
def test_a_rule_more_never_closes_anything(policies: list[Policy], source: Any, target: Any, port: int) -> None:
    first = policies[0]
    everything = Policy.of({"metadata": {"namespace": "a", "name": "x"}, "spec": {"podSelector": {}, "ingress": [{}]}})
    more = {direction: [*given, *everything.rules["Ingress"]] for direction, given in first.rules.items()}
    wider = [Policy(first.namespace, first.name, first.pods, more), *policies[1:]]
    if Cluster(NAMESPACES, policies).allowed(source, target, port):
        assert Cluster(NAMESPACES, wider).allowed(source, target, port)


@given(st.lists(manifests, max_size=4), ends, ends, st.sampled_from([80, 8080]))
def test_the_order_of_policies_does_not_matter(policies: list[Policy], source: Any, target: Any, port: int) -> None:
    answers = {Cluster(NAMESPACES, some).allowed(source, target, port) for some in (policies, policies[::-1])}
    assert len(answers) == 1


@given(st.lists(manifests, max_size=3), ends, st.sampled_from(PODS))
def test_a_default_deny_closes_what_nothing_opens(policies: list[Policy], source: Any, target: Pod) -> None:
    deny = Policy.of({"metadata": {"namespace": target.namespace, "name": "deny"}, "spec": {"podSelector": {}}})
    mine = [one for one in policies if one.namespace == target.namespace and one.pods.selects(target.labels)]
    if source != target and not any(one.rules.get("Ingress") for one in mine):
        assert not Cluster(NAMESPACES, [*policies, deny]).allowed(source, target, 8080)
