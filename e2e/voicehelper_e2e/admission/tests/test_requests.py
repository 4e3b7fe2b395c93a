"""Real requests as people make them: what they see of a refusal, and what passes."""

from __future__ import annotations

import asyncio
import json

import pytest
from voicehelper_core.kubernetes_api import KubernetesResourceStore, connect
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_crds import Cell, CellStatus, Tenant, TenantStatus
from voicehelper_e2e.admission.tests.harness import manifest, tenant

pytestmark = pytest.mark.integration
USER = {"user": "paula", "group": "tenant-users"}
KEEPER = {"user": "kim", "group": "plan-keepers"}
PLANS = [manifest("CellClass", "standard"), manifest("TenantPlan", "team")]
DENIED = 'admission webhook "admission.voicehelper.io" denied the request: '


@pytest.fixture
async def operator_store(cluster, asked):
    """The operator's own writes."""
    api = await connect(cluster.account_kubeconfig())
    yield KubernetesResourceStore(api, manager="voicehelper-operator")
    await api.close()


async def applied(cluster, *manifests, **who):
    for item in manifests:
        said = await cluster.apply(item, **who)
        assert "created" in said or "configured" in said, said


def refused(said: str, message: str) -> None:
    assert DENIED + message in said, said


async def test_a_plan_and_its_tenant_may_come_in_one_go(cluster, asked):
    """The watch is behind what was made a moment ago."""
    for number in range(5):
        plan = manifest("TenantPlan", f"p{number}")
        both = {"apiVersion": "v1", "kind": "List", "items": [plan, tenant(f"t{number}", planRef=f"p{number}")]}
        said = await cluster.run("create", manifest=both)
        assert f"tenant.voicehelper.io/t{number} created" in said, said


async def test_what_people_see(cluster, asked):
    await applied(cluster, *PLANS)
    refused(
        await cluster.apply(tenant(planRef="none"), **USER),
        "spec.planRef: there is no TenantPlan 'none': apply it first, or name another one (team)",
    )
    refused(
        await cluster.apply(tenant(placement={"cell": "c1"}), **USER),
        "spec.placement.cell: there is no shared cell 'c1': name another cell, or leave it to the operator",
    )
    refused(
        await cluster.apply(manifest("Cell", "c1", {"classRef": "large"}), **USER),
        "spec.classRef: there is no CellClass 'large': apply it first, or name another one (standard)",
    )
    await applied(cluster, manifest("Cell", "c1", {"region": "eu", "capacity": 1}), **USER)
    refused(
        await cluster.apply(tenant(placement={"cell": "c1", "region": "us"}), **USER),
        "spec.placement.cell: no shared cell can take the tenant: 'c1' is in region 'eu', not 'us'",
    )
    await applied(cluster, tenant(placement={"cell": "c1"}, deletion={"protect": True}), **USER)
    refused(
        await cluster.run("delete", "tenant", "acme", **USER),
        "Tenant 'acme' is protected: set spec.deletion.protect to false first",
    )
    for kind, name, user in (
        ("tenantplan", "team", "tenant/acme"),
        ("cellclass", "standard", "cell/c1, tenantplan/team"),
    ):
        said = await cluster.run("delete", kind, name, **KEEPER)
        assert f"'{name}' is in use by {user}: " in said, said
    await applied(cluster, tenant(deletion={"protect": False}), **USER)
    assert "deleted" in await cluster.run("delete", "tenant", "acme", **USER)
    assert "deleted" in await cluster.run("delete", "tenantplan", "team", **KEEPER)


async def test_a_dry_run_is_judged_and_leaves_nothing(cluster, asked):
    refused(await cluster.run("create", "--dry-run=server", manifest=tenant(), **USER), "spec.planRef: ")


async def test_a_placed_tenant_stays(cluster, asked, operator_store):
    await applied(cluster, *PLANS, manifest("Cell", "c1"), tenant())
    status = TenantStatus(cell="c1", cell_id="c00000000001", tenant_id="t00000000001")
    await operator_store.update_status(Tenant, "acme", status)
    refused(
        await cluster.apply(tenant(placement={"isolation": "dedicated"}), **USER),
        "spec.placement.isolation: tenant 'acme' lives in cell 'c1', a shared cell, and nothing is moved by itself",
    )
    await applied(cluster, tenant(displayName="Acme"), **USER)


async def test_what_is_there_lives_and_ends_when_its_plan_has_gone(api, cluster, asked, operator_store):
    """Nothing of the operator's own work, nor of an end, is in the way of a rule."""
    store = operator_store
    await applied(cluster, *PLANS, tenant(deletion={"policy": "Retain"}))
    await store.set_finalizers(Tenant, "acme", ["voicehelper.io/tenant"])
    await api.merge(OURS["Tenant"], "acme", {"spec": {"suspended": True}}, manager="test")
    # Past admission, as in a restore of half a backup.
    webhooks = await cluster.run(
        "patch", "validatingwebhookconfiguration", "voicehelper-operator", "--type=merge", "-p", '{"webhooks": []}'
    )
    assert "patched" in webhooks
    await cluster.run("delete", "tenantplan", "team")
    await asyncio.sleep(3)  # the operator has put it back
    assert "labeled" in await cluster.run("label", "tenant", "acme", "a=b", **USER)
    await applied(cluster, tenant(suspended=False, displayName="Changed"), **USER)
    await store.update_status(Tenant, "acme", TenantStatus(phase="Refused"))
    assert "deleted" in await cluster.run("delete", "tenant", "acme", "--wait=false", **USER)
    assert "labeled" in await cluster.run("label", "tenant", "acme", "a=c", "--overwrite", **USER)
    assert "annotated" in await cluster.run("annotate", "tenant", "acme", "voicehelper.io/a=c", **USER)
    await store.set_finalizers(Tenant, "acme", [])
    assert "NotFound" in await cluster.run("get", "tenant", "acme")


OWNER = [{"apiVersion": "voicehelper.io/v1alpha1", "kind": "Tenant", "name": "victim", "uid": "u", "controller": True}]


@pytest.mark.parametrize("kind", ["Tenant", "Cell"])
async def test_tenant_users_forge_nothing(kind, cluster, asked, operator_store):
    name = "forged"
    await applied(cluster, *PLANS, tenant("victim"))
    made = tenant(name) if kind == "Tenant" else manifest("Cell", name)
    await applied(cluster, made, **USER)
    model = Tenant if kind == "Tenant" else Cell
    finalizer = f"voicehelper.io/{kind.lower()}"
    await operator_store.set_finalizers(model, name, [finalizer])

    def patch(**metadata):
        return "patch", kind.lower(), name, "--type=merge", "-p", json.dumps({"metadata": metadata})

    attacks = {
        "only the operator sets metadata.ownerReferences": patch(ownerReferences=OWNER),
        "metadata.labels of the prefix voicehelper.io/": patch(labels={"voicehelper.io/owner": "x"}),
        "metadata.annotations of the prefix voicehelper.io/": patch(annotations={"voicehelper.io/id": "x"}),
        f"only the operator takes the finalizer '{finalizer}'": patch(finalizers=[]),
    }
    for message, attack in attacks.items():
        refused(await cluster.run(*attack, **USER), f"{kind} '{name}': {message}")
    again = {**made, "metadata": {"name": "second", "ownerReferences": OWNER}}
    refused(await cluster.run("create", manifest=again, **USER), f"{kind} 'second': only the operator sets")
    # What skips the removal of all data: delete, and let nobody wait for it.
    assert "deleted" in await cluster.run("delete", kind.lower(), name, "--wait=false", **USER)
    refused(await cluster.run(*attacks_last(attacks), **USER), f"{kind} '{name}': only the operator takes")
    assert "patched" in await cluster.run(*attacks_last(attacks)), "an administrator may, as the way out"


def attacks_last(attacks):
    return list(attacks.values())[-1]


async def test_a_users_status_is_no_placement(cluster, asked):
    """Who makes a tenant cannot say where it lives: the status of a new object is not kept, and never judged."""
    await applied(cluster, *PLANS)
    forged = tenant() | {"status": {"cell": "c1", "cellId": "c00000000001"}}
    await cluster.apply(forged, **USER)
    assert await cluster.run("get", "tenant", "acme", "-o", "jsonpath={.status}") == ""


async def test_the_operator_asks_itself_nothing(cluster, api, asked, operator_store):
    """Its writes pass while nobody answers, or a first replica could never begin."""
    await applied(cluster, *PLANS, tenant())
    await asked.end()
    await operator_store.set_finalizers(Tenant, "acme", ["voicehelper.io/tenant"])
    owner = {"kind": "Tenant", "name": "acme", "uid": (await operator_store.get(Tenant, "acme")).metadata.uid}
    await operator_store.create(manifest("Cell", "acme", {"tenancy": "dedicated"}, ownerReferences=[owner]))
    await operator_store.update_status(Cell, "acme", CellStatus(phase="Pending"))
    await operator_store.delete(Cell, "acme")
