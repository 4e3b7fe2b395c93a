"""The code itself, with the accounts' own tokens: nothing that it asks is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from voicehelper_core import errors
from voicehelper_core.kubernetes_api import (
    Api,
    KubernetesEventRecorder,
    KubernetesLease,
    KubernetesResourceStore,
    KubernetesSecretStore,
    connect,
)
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_crds import API_VERSION, Cell, CellClass, CellStatus, Tenant, TenantPlan, TenantStatus
from voicehelper_e2e.charts import render
from voicehelper_e2e.charts.tests.conftest import Cluster
from voicehelper_operator.leadership import NAME
from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.runtime import KubernetesRuntime
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

pytestmark = pytest.mark.integration
CELL_ID = "a1b2c3d4e5f6"
HOME = naming.namespace(CELL_ID)
EXTRA = (
    ("serviceaccount", "old"),
    ("service", "clusterip", "old", "--clusterip=None"),
    ("quota", "old", "--hard=pods=9"),
    ("deployment", "old", "--image=x", "--replicas=0"),
    ("poddisruptionbudget", "old", "--selector=a=b", "--min-available=1"),
)
"""What nobody asks for any more, of the kinds that a cell may have."""
EDITED = (
    *("serviceaccount/voicehelper-cell", "secret/voicehelper-cell", "resourcequota/voicehelper-cell"),
    *("limitrange/voicehelper-cell", "networkpolicy/default-deny", "service/cell", "deployment/cell"),
    "poddisruptionbudget/cell",
)
"""One of each kind that a compact cell has."""


def refused() -> dict[str, float]:
    """What the API server has answered 403 to, so far."""
    return {
        f"{sample.labels['verb']} {sample.labels['kind']}": sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "kubernetes_requests_total" and sample.labels["code"] == "403"
    }


@pytest.fixture(autouse=True)
def nothing_refused() -> Iterator[None]:
    """Adapters may forgive a refusal (events never fail), so the count is looked at."""
    before = refused()
    yield
    assert refused() == before


@contextlib.asynccontextmanager
async def connected(cluster: Cluster, account: str) -> AsyncIterator[Api]:
    api = await connect(cluster.account_kubeconfig(account))
    try:
        yield api
    finally:
        await api.close()


@contextlib.asynccontextmanager
async def running(changes: AsyncIterator[object]) -> AsyncIterator[list[object]]:
    seen: list[object] = []

    async def follow() -> None:
        async for change in changes:
            seen.append(change)

    task = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def manifest(kind: str, name: str, spec: dict[str, object], **metadata: object) -> dict[str, object]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def tenant(name: str) -> dict[str, object]:
    return manifest("Tenant", name, {"planRef": "team", "admin": {"email": "a@b.example"}})


def copied_as_old(cluster: Cluster, kind: str, name: str) -> None:
    """One more of the kind, which nobody asks for."""
    item = json.loads(cluster.kubectl("-n", HOME, "get", kind, name, "-o", "json"))
    item["metadata"] = {"name": "old", "labels": item["metadata"]["labels"]}
    file = cluster.folder / "old.json"
    file.write_text(json.dumps(item))
    cluster.kubectl("-n", HOME, "create", "-f", str(file))


async def test_identity_keeps_tenants_and_shows_cells(installed: Cluster) -> None:
    async with connected(installed, "identity") as api:
        store = KubernetesResourceStore(api)
        await store.create(tenant("made"))
        for _ in range(2):
            await store.apply(tenant("applied"))
        assert {"made", "applied"} <= {item.metadata.name for item in await store.list(Tenant)}
        for name in ("made", "applied"):
            assert (await store.get(Tenant, name)).spec.plan_ref == "team"
            await store.delete(Tenant, name)
        assert await store.list(Cell) == []
        assert (await store.get(TenantPlan, "team")).spec.isolation == "shared"


async def test_the_router_follows_tenants_and_cells(installed: Cluster) -> None:
    async with connected(installed, "router") as api:
        store = KubernetesResourceStore(api)
        async with running(store.watch(Tenant, Cell)) as seen:
            async with asyncio.timeout(20):
                while not any(getattr(change, "type", "") == "synced" for change in seen):
                    await asyncio.sleep(0.05)
        await api.list(OURS["CellClass"])


async def test_the_operator_keeps_resources(installed: Cluster) -> None:
    async with connected(installed, "identity") as api:
        made = await KubernetesResourceStore(api).create(tenant("kept"))
    async with connected(installed, "operator") as api:
        store = KubernetesResourceStore(api, manager=naming.MANAGER, cached=True)
        async with running(store.watch(Tenant, TenantPlan, Cell, CellClass)):
            async with asyncio.timeout(20):
                while not store.synced:
                    await asyncio.sleep(0.05)
            assert (await store.get(CellClass, "standard")).spec.cpu == "1"
            await store.set_finalizers(Tenant, "kept", ["voicehelper.io/test"])
            await store.update_status(Tenant, "kept", TenantStatus(tenant_id="a1b2c3d4e5f7"))
            owner = {"kind": "Tenant", "name": "kept", "uid": made.metadata.uid}
            await store.create(
                manifest("Cell", "kept", {"tenancy": "dedicated", "classRef": "standard"}, ownerReferences=[owner])
            )
            await store.set_finalizers(Cell, "kept", ["voicehelper.io/test"])
            await store.update_status(Cell, "kept", CellStatus(cell_id=CELL_ID))
            events = KubernetesEventRecorder(api)
            for _ in range(2):  # the second counts the first up
                await events.record(made, "Tried", "with the rights of the chart")
            await events.close()
            await store.set_finalizers(Cell, "kept", [])
            await store.delete(Cell, "kept")
            await store.set_finalizers(Tenant, "kept", [])
    found = json.loads(installed.kubectl("-n", "default", "get", "events.events.k8s.io", "-o", "json"))["items"]
    assert [item["series"]["count"] for item in found if item["reason"] == "Tried"] == [2]
    installed.kubectl("delete", "tenant", "kept")


async def test_the_operator_keeps_secrets_and_its_lease(installed: Cluster) -> None:
    async with connected(installed, "operator") as api:
        secrets, lease = KubernetesSecretStore(api, render.NAMESPACE), KubernetesLease(api, render.NAMESPACE)
        assert await secrets.get("cell-credentials") is None
        for value in ("one", "two"):
            await secrets.put("cell-credentials", {"password": value})
            assert await secrets.get("cell-credentials") == {"password": value}
        await secrets.delete("cell-credentials")
        for _ in range(2):
            assert await lease.acquire(NAME, "me", timedelta(seconds=15))
        await lease.release(NAME, "me")


async def test_the_operator_makes_repairs_and_removes_a_cell(installed: Cluster) -> None:
    settings = KubernetesSettings(namespace=render.NAMESPACE)
    spec = WorkloadSpec(CELL_ID, "1", {"postgres_dsn": "postgresql://somewhere/else"}, cell="kept")
    async with connected(installed, "operator") as api:
        runtime = KubernetesRuntime(api, settings)
        async with running(runtime.changes()):
            with pytest.raises(TimeoutError):  # there is no node that would run the step
                await asyncio.wait_for(runtime.run_once(spec, "migrate"), timeout=8)
            assert installed.kubectl("-n", HOME, "get", "jobs", "-o", "name") == ""
            await runtime.ensure(spec)
            labels = "app.kubernetes.io/managed-by=voicehelper-operator", f"{naming.CELL}={CELL_ID}"
            for kind, *rest in EXTRA:
                installed.kubectl("-n", HOME, "create", kind, *rest)
            installed.kubectl("-n", HOME, "autoscale", "deployment", "cell", "--name=old", "--max=2")
            for kind in ("serviceaccount", "service", "resourcequota", "deployment", "poddisruptionbudget", "hpa"):
                installed.kubectl("-n", HOME, "label", kind, "old", *labels)
            for kind, name in (("limitrange", "voicehelper-cell"), ("networkpolicy", "step")):
                copied_as_old(installed, kind, name)
            opened = json.dumps({"spec": {"egress": [{}]}})
            installed.kubectl("-n", HOME, "patch", "networkpolicy", "cell", "--type=merge", "-p", opened)
            installed.kubectl("-n", HOME, "label", "--overwrite", *EDITED, f"{naming.PART_OF}=somebody-else")
            await asyncio.sleep(1)
            async with asyncio.timeout(60):
                while True:
                    try:
                        await runtime.ensure(spec)
                        break
                    except errors.Unavailable:  # the deployment that is not wanted ends first
                        await asyncio.sleep(0.5)
            kinds = "serviceaccounts,services,resourcequotas,limitranges,networkpolicies,deployments,pdb,hpa"
            assert "/old" not in installed.kubectl("-n", HOME, "get", kinds, "-o", "name")
            found = json.loads(installed.kubectl("-n", HOME, "get", *EDITED, "-o", "json"))["items"]
            assert {item["metadata"]["labels"][naming.PART_OF] for item in found} == {"voicehelper"}
            policy = json.loads(installed.kubectl("-n", HOME, "get", "networkpolicy", "cell", "-o", "json"))
            assert policy["spec"]["egress"] != [{}]
            await runtime.sleep(spec)
            assert await runtime.observe(CELL_ID) is None
            await runtime.remove(CELL_ID)
            async with asyncio.timeout(60):
                while await runtime.remove(CELL_ID) is not None:
                    await asyncio.sleep(0.5)
