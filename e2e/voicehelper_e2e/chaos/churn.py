"""Tenants that come and go: made, used and deleted again, in shared cells and with cells of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from voicehelper_crds import Tenant, holds
from voicehelper_embedded import throwaway

from voicehelper_e2e.chaos.calls import Caller, GivenUp, Refused
from voicehelper_e2e.chaos.clients import Librarian, Writer
from voicehelper_e2e.chaos.ledger import Ledger, TenantLedger
from voicehelper_e2e.chaos.patience import Patient, Stuck
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.schedule import Choice, choices


class Churn(Patient):
    """Makes one tenant after the other; ``plan`` is ``team`` (shared cell) or ``enterprise`` (a cell of its own)."""

    def __init__(self, fired: FiredOn, ledger: Ledger, seed: int, plan: str, *, prefix: str | None = None) -> None:
        super().__init__(fired, ledger)
        self._seed, self._plan = seed, plan
        self._prefix = prefix or f"churn-{plan}"

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; the tenant that is under way is deleted first."""
        chosen = choices(self._seed, self._prefix)
        number = 0
        while not stop.is_set():
            number += 1
            name = f"{self._prefix}-{number}"
            try:
                await self._once(name, chosen)
            except Stuck as error:
                self._ledger.wrong.append(str(error))
                return

    async def _once(self, name: str, chosen: Iterator[Choice]) -> TenantLedger:
        await self._apply(name)
        tenant = await self._ready(name)
        await self._use(tenant, chosen)
        await self._removed(Tenant, name)
        self._ledger.gone.append(tenant)
        return tenant

    async def _apply(self, name: str) -> None:
        await self._applied(self._manifest(name))

    def _manifest(self, name: str) -> dict[str, Any]:
        return throwaway.tenant(name, self._plan)

    async def _ready(self, name: str) -> TenantLedger:
        status = (await self._until(Tenant, name, lambda tenant: holds(tenant.status.conditions, "Ready"))).status
        assert status.tenant_id
        assert status.cell
        assert status.cell_id
        return TenantLedger(name, status.tenant_id, status.cell, status.cell_id)

    async def _use(self, tenant: TenantLedger, chosen: Iterator[Choice]) -> None:
        """A question, a document: what has to be gone afterwards."""
        caller = Caller(self._fired, self._ledger, tenant.name, tenant.tenant_id)
        try:
            with contextlib.suppress(GivenUp, Refused):
                await Writer(caller, self._ledger, tenant, chosen).once()
                await Librarian(caller, self._ledger, tenant, chosen).act(next(chosen))
        finally:
            await caller.close()
