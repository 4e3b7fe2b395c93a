"""A tenant's first admin: how long its login is kept, and how many users identity is told of."""

from __future__ import annotations

import pytest
from voicehelper_core import names
from voicehelper_crds import Tenant

from voicehelper_operator.tests.world import World

API = "voicehelper.io/v1alpha1"


async def _ready(world: World, policy: str, users: int | None = None) -> Tenant:
    quota = {} if users is None else {"quota": {"users": users}}
    admin = {"email": "admin@acme.example"}
    tenant = {"planRef": "team", "admin": admin, "deletion": {"policy": policy}, **quota}
    for kind, name, spec in (
        ("CellClass", "standard", {}),
        ("TenantPlan", "team", {"isolation": "shared"}),
        ("Cell", "shared-1", {}),
        ("Tenant", "acme", tenant),
    ):
        await world.store.apply({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec})
    await world.settle()
    return await world.store.get(Tenant, "acme")


@pytest.mark.parametrize(("policy", "kept"), [("Retain", True), ("Archive", False), ("Delete", False)])
async def test_the_admins_login_is_kept_as_long_as_its_data(policy: str, kept: bool) -> None:
    world = World()
    tenant = await _ready(world, policy)
    await world.store.delete(Tenant, "acme")
    await world.settle()
    assert tenant.status.tenant_id
    assert (await world.secrets.get(names.admin_secret(tenant.status.tenant_id)) is not None) is kept


async def test_more_users_than_identity_can_count_are_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    world, told = World(), []
    ensure = world.identity.ensure_tenant

    async def listening(name, tenant_id, admin, max_users):
        told.append(max_users)
        return await ensure(name, tenant_id, admin, max_users)

    monkeypatch.setattr(world.identity, "ensure_tenant", listening)
    tenant = await _ready(world, "Retain", users=2**40)
    assert tenant.status.phase == "Ready"
    assert set(told) == {2**31 - 1}
