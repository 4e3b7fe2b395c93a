"""Tenants that come and go: made, used and deleted again, in shared cells and with cells of their own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

from voicehelper_core import errors
from voicehelper_core.embedded_store.connection import LOST
from voicehelper_crds import Tenant
from voicehelper_embedded import throwaway

from voicehelper_e2e.chaos.calls import Caller, GivenUp, Refused
from voicehelper_e2e.chaos.clients import Librarian, Writer
from voicehelper_e2e.chaos.ledger import Ledger, TenantLedger
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.schedule import Choice, choices

PATIENCE_SECONDS = 300
_POLL_SECONDS = 0.5
_AWAY = (errors.Unavailable, *LOST)
"""What the resource store may say while Postgres is away; people would try again."""


class Stuck(Exception):
    """A tenant did not become Ready, or did not go, in time."""


class Churn:
    """Makes one tenant after the other; ``plan`` is ``team`` (shared cell) or ``enterprise`` (a cell of its own)."""

    def __init__(self, fired: FiredOn, ledger: Ledger, seed: int, plan: str, *, prefix: str | None = None) -> None:
        self._fired, self._ledger, self._seed, self._plan = fired, ledger, seed, plan
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
        await self._delete(name)
        self._ledger.gone.append(tenant)
        return tenant

    async def _apply(self, name: str) -> None:
        manifest = self._manifest(name)
        await self._patiently(lambda store: store.apply(manifest), f"tenant/{name} cannot be applied")

    def _manifest(self, name: str) -> dict[str, Any]:
        return throwaway.tenant(name, self._plan)

    async def _ready(self, name: str) -> TenantLedger:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            tenant: Tenant = await self._patiently(lambda store: store.get(Tenant, name), f"tenant/{name} is not read")
            status = tenant.status
            if any(item.type == "Ready" and item.status == "True" for item in status.conditions):
                assert status.tenant_id
                assert status.cell
                assert status.cell_id
                return TenantLedger(name, status.tenant_id, status.cell, status.cell_id)
            if time.monotonic() > end:
                raise Stuck(f"tenant/{name} was not Ready after {PATIENCE_SECONDS} s: {_told(tenant)}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _use(self, tenant: TenantLedger, chosen: Iterator[Choice]) -> None:
        """A question, a document: what has to be gone afterwards."""
        caller = Caller(self._fired, self._ledger, tenant.name, tenant.tenant_id)
        try:
            with contextlib.suppress(GivenUp, Refused):
                await Writer(caller, self._ledger, tenant, chosen).once()
                await Librarian(caller, self._ledger, tenant, chosen).act(next(chosen))
        finally:
            await caller.close()

    async def _delete(self, name: str) -> None:
        async def ask(store: Any) -> None:
            with contextlib.suppress(errors.NotFound):
                await store.delete(Tenant, name)

        await self._patiently(ask, f"tenant/{name} cannot be deleted")
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                left: Tenant = await self._patiently(
                    lambda store: store.get(Tenant, name), f"tenant/{name} is not read"
                )
            except errors.NotFound:
                return
            if time.monotonic() > end:
                raise Stuck(f"tenant/{name} was not gone after {PATIENCE_SECONDS} s: {_told(left)}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _patiently(self, work: Any, what: str) -> Any:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                async with self._fired.resources() as store:
                    return await work(store)
            except _AWAY as error:
                if time.monotonic() > end:
                    raise Stuck(f"{what}: {error!r}") from error
                await asyncio.sleep(_POLL_SECONDS)


def _told(tenant: Tenant) -> str:
    """What does not hold."""
    return "; ".join(f"{item.type}: {item.message}" for item in tenant.status.conditions if item.status != "True")
