"""The way of one Envoy to the snapshot, against a model of Envoy, in every order that hypothesis thinks of."""

from __future__ import annotations

from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from voicehelper_router import types
from voicehelper_router.xds import held, scopes
from voicehelper_router.xds.facts import CellFacts, TenantFacts
from voicehelper_router.xds.resource import Resource
from voicehelper_router.xds.snapshot import Snapshot, build
from voicehelper_router.xds.stream import Response, Stream

CELLS = [letter * 12 for letter in "abc"]
TENANTS = ["acme", "globex", "initech"]


def clusters_of(configuration: Resource) -> set[str]:
    """Clusters of cells that a route configuration sends requests to at once."""
    if held.is_held(configuration.name):
        return set()
    named = [route.get("route", {}).get("cluster", "") for route in configuration.content["virtual_hosts"][0]["routes"]]
    return {name for name in named if name and name != "identity-http"}


class Envoy:
    """What it holds, and what it says. Route configurations are kept exactly while a scope names them."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Resource]] = {types.CLUSTER: {}, types.SCOPE: {}, types.ROUTES: {}}
        self.named: set[str] = set()
        self.serving = False

    def connect(self, stream: Stream) -> None:
        for kind in (types.CLUSTER, types.SCOPE, types.ROUTES):
            names = sorted(self.named) if kind == types.ROUTES else []
            if kind != types.ROUTES or names:
                known = {name: item.version for name, item in self.held[kind].items()}
                stream.request(kind, subscribe=names, unsubscribe=[], known=known, nonce="", error=None)

    def take(self, response: Response, stream: Stream) -> None:
        held = self.held[response.type_url]
        for name in response.removed:
            held.pop(name, None)
        held.update({item.name: item for item in response.resources})
        stream.request(response.type_url, subscribe=[], unsubscribe=[], known={}, nonce=response.nonce, error=None)
        if response.type_url == types.SCOPE:
            named = {scope.configuration for scope in held.values()}
            gone, new = sorted(self.named - named), sorted(named - self.named)
            self.named = named
            for name in gone:
                self.held[types.ROUTES].pop(name, None)
            if gone or new:
                stream.request(types.ROUTES, subscribe=new, unsubscribe=gone, known={}, nonce="", error=None)
        if not self.serving and self.held[types.SCOPE] and self.named <= set(self.held[types.ROUTES]):
            self.serving = True


class Changes(RuleBasedStateMachine):
    """Cells and tenants come, change and go; messages are on their way; connections are lost; Envoy restarts."""

    @initialize()
    def start(self) -> None:
        self.cells: dict[str, CellFacts] = {CELLS[0]: CellFacts(cell_id=CELLS[0], http="127.0.0.1:1")}
        self.tenants = {"acme": TenantFacts(name="acme", state="routable", cell_id=CELLS[0])}
        self.envoy, self.stream = Envoy(), Stream()
        self.travelling: list[Response] = []
        self.rebuild()
        self.envoy.connect(self.stream)

    def rebuild(self) -> None:
        self.snapshot: Snapshot = build(self.tenants.values(), self.cells.values())

    def cell_changed(self, cell_id: str) -> None:
        tenants = {name: tenant for name, tenant in self.tenants.items() if tenant.cell_id == cell_id}
        self.snapshot = self.snapshot.changed(tenants, {cell_id: self.cells.get(cell_id)})

    @rule(cell_id=st.sampled_from(CELLS), port=st.integers(1, 3), grpc=st.booleans())
    def cell_comes_or_changes(self, cell_id: str, port: int, grpc: bool) -> None:
        self.cells[cell_id] = CellFacts(
            cell_id=cell_id, http=f"127.0.0.1:{port}", grpc=f"127.0.0.1:{port + 10}" if grpc else None
        )
        self.cell_changed(cell_id)

    @rule(cell_id=st.sampled_from(CELLS), hibernation=st.sampled_from(["", "Idle", "Forced"]), there=st.booleans())
    def cell_sleeps_or_wakes(self, cell_id: str, hibernation: Literal["", "Idle", "Forced"], there: bool) -> None:
        self.cells[cell_id] = CellFacts(cell_id=cell_id, http="127.0.0.1:1" if there else None, hibernation=hibernation)
        self.cell_changed(cell_id)

    @rule(cell_id=st.sampled_from(CELLS))
    def cell_goes(self, cell_id: str) -> None:
        self.cells.pop(cell_id, None)
        self.cell_changed(cell_id)

    @rule(name=st.sampled_from(TENANTS), cell_id=st.sampled_from(CELLS))
    def tenant_comes_or_moves(self, name: str, cell_id: str) -> None:
        self.tenants[name] = TenantFacts(name=name, state="routable", cell_id=cell_id)
        self.snapshot = self.snapshot.changed({name: self.tenants[name]})

    @rule(name=st.sampled_from(TENANTS))
    def tenant_goes(self, name: str) -> None:
        self.tenants.pop(name, None)
        self.snapshot = self.snapshot.changed({name: None})

    @rule()
    def server_sends(self) -> None:
        self.travelling += self.stream.next(self.snapshot)

    @rule()
    def envoy_receives(self) -> None:
        if self.travelling:
            self.envoy.take(self.travelling.pop(0), self.stream)

    @rule()
    def connection_is_lost(self) -> None:
        self.travelling, self.stream = [], Stream()
        self.envoy.connect(self.stream)

    @rule()
    def envoy_restarts(self) -> None:
        self.envoy = Envoy()
        self.connection_is_lost()

    @rule()
    def all_is_quiet(self) -> None:
        for _ in range(50):
            self.server_sends()
            if not self.travelling:
                break
            while self.travelling:
                self.envoy_receives()
                self.every_tenant_that_envoy_knows_has_a_route_and_its_clusters()
        assert self.stream.has(self.snapshot)
        assert all(self.stream.acknowledged(name, item.version) for name, item in self.snapshot.scopes.items())
        assert self.envoy.serving
        for kind, wanted in (
            (types.CLUSTER, self.snapshot.clusters),
            (types.ROUTES, self.snapshot.routes),
            (types.SCOPE, self.snapshot.scopes),
        ):
            assert {name: item.version for name, item in self.envoy.held[kind].items()} == {
                name: item.version for name, item in wanted.items()
            }

    @invariant()
    def every_tenant_that_envoy_knows_has_a_route_and_its_clusters(self) -> None:
        if not self.envoy.serving:
            return
        for scope in self.envoy.held[types.SCOPE].values():
            if scopes.is_hold(scope.name):
                continue
            if self.stream.acknowledged(scope.name, scope.version):
                assert self.envoy.held[types.SCOPE][scope.name].version == scope.version
            configuration = self.envoy.held[types.ROUTES].get(scope.configuration)
            assert configuration is not None, f"{scope.name} would be answered with 404"
            missing = clusters_of(configuration) - set(self.envoy.held[types.CLUSTER])
            assert not missing, f"{scope.name} would be answered with 503"


Changes.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestChanges = Changes.TestCase


def connected(snapshot: Snapshot) -> Stream:
    stream = Stream()
    Envoy().connect(stream)
    return stream


def reply(stream: Stream, response: Response, error: str | None = None) -> list[str] | None:
    rejection = stream.request(
        response.type_url, subscribe=[], unsubscribe=[], known={}, nonce=response.nonce, error=error
    )
    return rejection.names if rejection else None


def test_the_bad_one_is_found_among_many() -> None:
    snapshot = build([], [CellFacts(cell_id=chr(97 + n) * 12, http="127.0.0.1:1") for n in range(20)])
    stream, bad, taken = connected(snapshot), "cccccccccccc-http", set()
    blamed: list[str] = []
    for _ in range(100):
        responses = [item for item in stream.next(snapshot) if item.type_url == types.CLUSTER]
        if not responses:
            break
        names = {item.name for item in responses[0].resources}
        blamed += reply(stream, responses[0], "no good" if bad in names else None) or []
        taken |= names if bad not in names else set()
    assert blamed == [bad]
    assert taken == set(snapshot.clusters) - {bad}


def test_a_refused_resource_is_sent_again_when_it_changed() -> None:
    snapshot = build([], [CellFacts(cell_id=CELLS[0], http="127.0.0.1:1")])
    stream = connected(snapshot)
    first = stream.next(snapshot)[0]
    assert reply(stream, first, "no good") == [f"{CELLS[0]}-http"]
    assert not [item for item in stream.next(snapshot) if item.type_url == types.CLUSTER]
    changed = build([], [CellFacts(cell_id=CELLS[0], http="127.0.0.1:2")])
    assert [item.name for item in stream.next(changed)[0].resources] == [f"{CELLS[0]}-http"]


def test_an_answer_to_something_older_is_ignored() -> None:
    snapshot = build([], [CellFacts(cell_id=CELLS[0], http="127.0.0.1:1")])
    stream = connected(snapshot)
    stream.next(snapshot)
    stream.request(types.CLUSTER, subscribe=[], unsubscribe=[], known={}, nonce="old", error=None)
    assert stream.types[types.CLUSTER].pending is not None


def test_a_reconnected_envoy_that_has_everything_gets_nothing() -> None:
    machine = Changes()
    machine.start()
    machine.all_is_quiet()
    machine.connection_is_lost()
    assert machine.stream.next(machine.snapshot) == []


def test_a_cluster_that_a_cell_loses_goes_after_its_route() -> None:
    machine = Changes()
    machine.start()
    machine.cell_comes_or_changes(cell_id=CELLS[0], port=1, grpc=True)
    machine.all_is_quiet()
    machine.cell_comes_or_changes(cell_id=CELLS[0], port=1, grpc=False)
    machine.all_is_quiet()
    assert f"{CELLS[0]}-grpc" not in machine.envoy.held[types.CLUSTER]


def test_a_tenant_that_moves_to_a_new_cell_while_its_old_one_goes() -> None:
    machine = Changes()
    machine.start()
    machine.all_is_quiet()
    machine.cell_comes_or_changes(cell_id=CELLS[1], port=2, grpc=True)
    machine.tenant_comes_or_moves(name="acme", cell_id=CELLS[1])
    machine.cell_goes(cell_id=CELLS[0])
    machine.all_is_quiet()
    assert set(machine.envoy.held[types.CLUSTER]) == {f"{CELLS[1]}-http", f"{CELLS[1]}-grpc"}
