"""Tenants with cells of their own whose passwords are rotated while they are used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from voicehelper_crds import Cell, Tenant
from voicehelper_crds.validation import API_VERSION

from voicehelper_e2e.chaos.churn import Churn
from voicehelper_e2e.chaos.ledger import TenantLedger
from voicehelper_e2e.chaos.schedule import Choice

_ANNOTATION = "voicehelper.io/rotate-credentials"
_TIMES = 2


class Rotating(Churn):
    """Each tenant is used, its cell gets new passwords, it is used again, and so on; then it is deleted."""

    async def _once(self, name: str, chosen: Iterator[Choice]) -> TenantLedger:
        await self._apply(name)
        tenant = await self._ready(name)
        for number in range(_TIMES):
            await self._use(tenant, chosen)
            await self._rotate(tenant.cell, str(number))
        await self._use(tenant, chosen)
        await self._removed(Tenant, name)
        self._ledger.gone.append(tenant)
        return tenant

    async def _rotate(self, name: str, asked: str) -> None:
        async def ask(store: Any) -> Cell:
            cell: Cell = await store.get(Cell, name)
            wanted = cell.model_dump(mode="json", by_alias=True, exclude_none=True, include={"spec"})
            metadata = {"name": name, "annotations": {_ANNOTATION: asked}}
            await store.apply({"apiVersion": API_VERSION, "kind": "Cell", "metadata": metadata, **wanted})
            return cell

        before = (await self._patiently(ask, f"cell/{name} cannot be applied")).status.credentials

        def rotated(cell: Cell) -> bool:
            now = cell.status.credentials
            return now is not None and not now.rotation and (before is None or now.account != before.account)

        await self._until(Cell, name, rotated)
