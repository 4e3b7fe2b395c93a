"""Tenants and cells by the API server itself, what has to have become of them, and a watch of all their ids."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.kinds import OURS, SECRET
from voicehelper_core.names import admin_secret, cell_secret
from voicehelper_crds import API_VERSION

from voicehelper_e2e.bad_api import stores
from voicehelper_e2e.bad_api.process import Operator
from voicehelper_e2e.bad_api.record import Record

TENANT, CELL = OURS["Tenant"], OURS["Cell"]
_MANAGER = "test"
_LOOK_SECONDS = 0.25


class World:
    """``operators`` have to live while one waits."""

    def __init__(self, api: Api, folder: Path, record: Record) -> None:
        self.api, self.folder, self.record = api, folder, record
        self.operators: list[Operator] = []

    async def prepare(self, cells: int = 2) -> None:
        """Two plans, a class, and shared cells for ten tenants each."""
        await self._create("CellClass", "standard", {})
        for name, isolation in (("team", "shared"), ("enterprise", "dedicated")):
            await self._create("TenantPlan", name, {"isolation": isolation})
        for number in range(1, cells + 1):
            await self._create("Cell", f"shared-{number}", {"capacity": 10})

    async def create(self, name: str, plan: str = "team") -> None:
        """A tenant whose data goes with it."""
        admin = {"email": f"admin@{name}.example"}
        await self._create("Tenant", name, {"planRef": plan, "admin": admin, "deletion": {"policy": "Delete"}})

    async def change(self, name: str, **spec: object) -> None:
        """Of a tenant."""
        await self.api.merge(TENANT, name, {"spec": spec}, manager=_MANAGER)

    async def delete(self, name: str) -> None:
        """A tenant."""
        await self.api.delete(TENANT, name)

    async def until_done(self, names: Collection[str], seconds: float = 45) -> None:
        """These tenants are all there are, and as they should be; the same goes for cells."""
        end = time.monotonic() + seconds
        while problem := await self._lacking(set(names)):
            for operator in self.operators:
                operator.expect()
            assert time.monotonic() < end, f"not within {seconds} s: {problem}"
            await asyncio.sleep(_LOOK_SECONDS)

    async def check(self) -> None:
        """Nothing was doubled, nothing was lost, nothing is left of what is gone."""
        assert self.record.doubled() == {}
        tenants, cells = (await self.api.list(TENANT))[0], (await self.api.list(CELL))[0]
        tenant_ids = [item["status"]["tenantId"] for item in tenants]
        cell_ids = {item["metadata"]["name"]: item["status"]["cellId"] for item in cells}
        assert len(set(tenant_ids)) == len(tenants)
        assert len(set(cell_ids.values())) == len(cells)
        for item in tenants:
            assert cell_ids[item["status"]["cell"]] == item["status"]["cellId"], item["metadata"]["name"]
        root = self.folder
        assert stores.cells(root) == set(cell_ids.values())
        kinds = (*stores.STORES, "identity")
        assert stores.tenants(root) == {(store, tenant_id) for store in kinds for tenant_id in tenant_ids}
        labelled, _ = await self.api.list(SECRET, "default", labels="app.kubernetes.io/part-of=voicehelper")
        kept = {item["metadata"]["name"] for item in labelled}
        assert kept == {*map(admin_secret, tenant_ids), *map(cell_secret, cell_ids.values())}

    async def _lacking(self, names: set[str]) -> str:
        tenants = {item["metadata"]["name"]: item for item in (await self.api.list(TENANT))[0]}
        if tenants.keys() != names:
            extra = [item for name, item in tenants.items() if name not in names]
            for item in extra:
                item["metadata"].pop("managedFields", None)
            return f"too few {sorted(names - tenants.keys())}, too many: {extra}"
        cells = {item["metadata"]["name"]: item for item in (await self.api.list(CELL))[0]}
        dedicated = {name for name, item in tenants.items() if item["spec"]["planRef"] == "enterprise"}
        if orphans := {name for name in cells if not name.startswith("shared-")} - dedicated:
            return f"cells {sorted(orphans)} of nobody"
        for item in (*tenants.values(), *cells.values()):
            if problem := _unready(item):
                return problem
        return ""

    async def _create(self, kind: str, name: str, spec: Object) -> None:
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        await self.api.create(manifest, manager=_MANAGER)


def condition(item: Object, kind: str) -> Object:
    """One of the conditions; empty where it is not there."""
    found = (item.get("status") or {}).get("conditions") or ()
    return next((each for each in found if each["type"] == kind), {})


def _unready(item: Object) -> str:
    ready, generation = condition(item, "Ready"), item["metadata"]["generation"]
    suspended = item["kind"] == "Tenant" and item["spec"].get("suspended")
    wanted = ("False", "Suspended") if suspended else ("True", ready.get("reason"))
    if (ready.get("status"), ready.get("reason")) == wanted and ready["observedGeneration"] == generation:
        return ""
    return f"{item['kind']} {item['metadata']['name']} (generation {generation}): {ready}"
