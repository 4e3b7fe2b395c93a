"""The store against a model of it, in every order of operations that hypothesis thinks of."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from voicehelper_core import embedded_store, errors
from voicehelper_crds import Tenant, TenantStatus

pytestmark = pytest.mark.integration

names = st.sampled_from(["a", "b", "c"])
words = st.sampled_from(["", "one", "two"])


class Store(RuleBasedStateMachine):
    """``model`` is what a store has to be: name -> [display name, phase, finalizers, generation, deleted]."""

    dsn = ""

    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.pool = self.run(embedded_store.connect(self.dsn))
        self.run(self.pool.execute("TRUNCATE resources.objects, resources.tombstones"))
        self.store = embedded_store.PostgresResourceStore(self.pool, poll_seconds=0.2)
        self.model, self.told, self.synced = {}, {}, asyncio.Event()
        self.task = self.loop.create_task(self.follow())
        self.run(self.synced.wait())

    def run(self, awaitable):
        return self.loop.run_until_complete(asyncio.wait_for(awaitable, 30))

    async def follow(self):
        async for change in self.store.watch(Tenant):
            if change.type == "applied":
                self.told[change.name] = change.resource
            elif change.type == "deleted":
                del self.told[change.name]
            else:
                self.synced.set()

    def expect(self, awaitable, error):
        if error is None:
            return self.run(awaitable)
        with pytest.raises(error):
            self.run(awaitable)
        return None

    @rule(name=names, word=words)
    def apply(self, name, word):
        known = self.model.get(name)
        self.expect(self.store.apply(manifest(name, word)), errors.Conflict if known and known[4] else None)
        if known is None:
            self.model[name] = [word, "", [], 1, False]
        elif not known[4]:
            known[3] += known[0] != word
            known[0] = word

    @rule(name=names)
    def create(self, name):
        self.expect(self.store.create(manifest(name, "")), errors.Conflict if name in self.model else None)
        self.model.setdefault(name, ["", "", [], 1, False])

    @rule(name=names, word=words)
    def update_status(self, name, word):
        absent = errors.NotFound if name not in self.model else None
        self.expect(self.store.update_status(Tenant, name, TenantStatus(phase=word)), absent)
        if not absent:
            self.model[name][1] = word

    @rule(name=names, finalizers=st.sampled_from([[], ["x"], ["x", "y"]]))
    def set_finalizers(self, name, finalizers):
        known = self.model.get(name)
        error = None
        if known is None:
            error = errors.NotFound
        elif known[4] and set(finalizers) - set(known[2]):
            error = errors.Conflict
        self.expect(self.store.set_finalizers(Tenant, name, finalizers), error)
        if error is None:
            known[2] = finalizers
            if known[4] and not finalizers:
                del self.model[name]

    @rule(name=names)
    def delete(self, name):
        known = self.model.get(name)
        self.expect(self.store.delete(Tenant, name), None if known else errors.NotFound)
        if known and known[2]:
            known[4] = True
        elif known:
            del self.model[name]

    @invariant()
    def the_store_is_as_the_model(self):
        if not hasattr(self, "store"):
            return
        found = self.run(self.store.list(Tenant))
        assert {item.metadata.name: shown(item) for item in found} == self.model
        self.run(self.caught_up({item.metadata.name: item for item in found}))

    async def caught_up(self, found):
        while self.told != found:
            await asyncio.sleep(0.005)

    def teardown(self):
        if hasattr(self, "task"):
            self.task.cancel()
            self.loop.run_until_complete(asyncio.gather(self.task, return_exceptions=True))
            self.run(self.pool.close())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()


def manifest(name, word):
    return {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {"displayName": word, "planRef": "team", "admin": {"email": "a@b.example"}},
    }


def shown(item):
    meta = item.metadata
    return [
        item.spec.display_name,
        item.status.phase,
        meta.finalizers,
        meta.generation,
        meta.deletion_timestamp is not None,
    ]


def test_any_order_of_operations(postgres):
    asyncio.run(embedded_store.install(postgres.dsn))
    Store.dsn = postgres.dsn
    run_state_machine_as_test(
        Store,
        settings=settings(
            max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
