"""Orders of applying, deleting and dying that nobody thought of; whatever happens, the world comes to rest right."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from voicehelper_core import errors
from voicehelper_crds import Cell, Tenant

from voicehelper_operator.cells.rotation import ANNOTATION
from voicehelper_operator.tests.world import Crash, World

API = "voicehelper.io/v1alpha1"
NAMES = st.sampled_from(["acme", "globex", "initech"])
PLANS = st.sampled_from(["team", "enterprise"])
BASE = {"capacity": 2}
POLICIES = st.sampled_from(["Retain", "Archive", "Delete"])


class Reconciling(RuleBasedStateMachine):
    """The model is what must hold at rest; the world may die before and after every effect."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.ids: dict[str, str] = {}
        self.used: set[str] = set()
        self.policies: dict[str, str] = {}
        self.retained: set[tuple[str, tuple[str, str]]] = set()
        self.archived: dict[str, set[str]] = {}
        """What the archives of tenants that go have to hold."""

    def _run(self, work):
        return asyncio.run(work)

    @initialize(seamless=st.booleans())
    def base(self, seamless):
        self.world.runtime.seamless = seamless
        for manifest in (
            {"kind": "CellClass", "metadata": {"name": "standard"}, "spec": {}},
            {"kind": "TenantPlan", "metadata": {"name": "team"}, "spec": {"isolation": "shared"}},
            {"kind": "TenantPlan", "metadata": {"name": "enterprise"}, "spec": {"isolation": "dedicated"}},
            {"kind": "Cell", "metadata": {"name": "shared-1"}, "spec": BASE},
        ):
            self._run(self.world.store.apply({"apiVersion": API, **manifest}))

    @rule(name=NAMES, plan=PLANS, policy=POLICIES, suspended=st.booleans())
    def apply(self, name, plan, policy, suspended):
        spec = {
            "planRef": plan,
            "admin": {"email": f"admin@{name}.example"},
            "deletion": {"policy": policy},
            "suspended": suspended,
        }
        manifest = {"apiVersion": API, "kind": "Tenant", "metadata": {"name": name}, "spec": spec}
        with contextlib.suppress(errors.Conflict):  # it is being deleted
            self._run(self.world.store.apply(manifest))

    @rule(name=NAMES)
    def delete(self, name):
        with contextlib.suppress(errors.NotFound):
            tenant = self._run(self.world.store.get(Tenant, name))
            tenant_id, policy = tenant.status.tenant_id, tenant.spec.deletion.policy
            self._run(self.world.store.delete(Tenant, name))
            if tenant_id is None or tenant_id in self.policies:
                return
            self.policies[tenant_id] = policy
            had = {s.store for s in self.world.slices if any(key[1] == tenant_id for key in s.data)}
            if policy == "Archive" and had:
                self.archived[tenant_id] = had | {"identity"}
            if policy == "Retain":
                self.retained |= {(s.store, key) for s in self.world.slices for key in s.data if key[1] == tenant_id}

    @rule(at=st.integers(0, 12))
    def die(self, at):
        """The operator dies at its n-th effect from here; another one takes over."""
        count = 0

        def hook(name: str) -> None:
            nonlocal count
            count += 1
            if count > at:
                raise Crash(name)

        self.world.hook = hook
        with contextlib.suppress(Crash):
            self._run(self.world.pass_once())
        self.world.hook = lambda _: None
        self.world.restart()

    @rule(index=st.integers(0, 3))
    def drift(self, index):
        """Somebody removes a slice of every cell by hand."""
        self.world.slices[index].cells.clear()

    @rule(asked=st.sampled_from(["one", "two"]))
    def rotate(self, asked):
        """Somebody asks for new passwords of the shared cell."""
        metadata = {"name": "shared-1", "annotations": {ANNOTATION: asked}}
        self._run(self.world.store.apply({"apiVersion": API, "kind": "Cell", "metadata": metadata, "spec": BASE}))

    @rule()
    def settle(self):
        self._run(self.world.settle(30))
        self._judge()

    def _judge(self):
        world = self.world
        cells = {item.status.cell_id for item in self._run(world.store.list(Cell))}
        tenants = self._run(world.store.list(Tenant))
        policies = {item.status.tenant_id: item.spec.deletion.policy for item in tenants}
        assert self.retained <= {(s.store, key) for s in world.slices for key in s.data}, "kept data was removed"
        for item in world.slices:
            gone = {key[1] for key in item.data if key[1] not in policies}
            assert all(self.policies[tenant_id] == "Retain" for tenant_id in gone), "data was left behind"
            assert {key for key in item.tenants if key[1] not in policies} == set()
        assert all(had - {"identity"} <= world.keeper.kept[tenant_id] for tenant_id, had in self.archived.items())
        assert not set(world.identity.retired) & set(self.archived), "users of archived tenants were left behind"
        assert set(world.identity.tenants) == {item.status.tenant_id for item in tenants if item.status.cell_id}
        assert set(world.runtime.running) <= cells
        for item in world.slices[:1]:
            assert {name[:12] for name in item.accounts} >= set(world.runtime.running)
            assert len(item.accounts) == len({name[:12] for name in item.accounts}), "an account was left open"
        for item in tenants:
            ready = next(each for each in item.status.conditions if each.type == "Ready")
            placed = next(each for each in item.status.conditions if each.type == "Placed")
            wanted = placed.status == "True" and not item.spec.suspended
            assert (ready.status == "True") is wanted, (item.metadata.name, ready.reason, ready.message)

    @invariant()
    def whatever_runs_is_let_in(self):
        assert self.world.refused() == []
        assert self.world.runtime.gaps == 0

    @invariant()
    def nothing_goes_before_its_archive_is_whole(self):
        world = self.world
        for tenant_id, had in self.archived.items():
            here = {s.store for s in world.slices if any(key[1] == tenant_id for key in s.data)}
            assert had - {"identity"} <= here | world.keeper.kept.get(tenant_id, set())

    @invariant()
    def ids_never_change_and_are_never_used_again(self):
        tenants = self._run(self.world.store.list(Tenant))
        for item in tenants:
            uid, tenant_id = item.metadata.uid, item.status.tenant_id
            if tenant_id is None:
                continue
            if uid in self.ids:
                assert self.ids[uid] == tenant_id
            else:
                assert tenant_id not in self.used
                self.ids[uid] = tenant_id
                self.used.add(tenant_id)


Reconciling.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestReconciling = Reconciling.TestCase
