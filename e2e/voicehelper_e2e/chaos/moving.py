"""Tenants that move while their clients work: between shared cells, into a cell of their own, and nowhere after all."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

from voicehelper_crds import Cell, Tenant, TenantMove, holds
from voicehelper_crds.validation import API_VERSION

from voicehelper_e2e.chaos.calls import Caller, GivenUp, Refused
from voicehelper_e2e.chaos.churn import Churn
from voicehelper_e2e.chaos.ledger import Ledger, TenantLedger
from voicehelper_e2e.chaos.oracle import documents, messages
from voicehelper_e2e.chaos.patience import Patient, Stuck
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.schedule import Choice

ANNEX = "chaos-annex"
"""A shared cell of the campaign's own, where nobody is placed: tenants move there, and releases come to it."""
ANNEX_MANIFEST: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "Cell",
    "metadata": {"name": ANNEX, "labels": {"chaos": "annex"}},
    "spec": {"tenancy": "shared", "classRef": "standard", "cordoned": True, "deletion": {"policy": "Delete"}},
}
PAUSE_SECONDS = 20
"""How long requests may wait at a switch: on two processors that much else goes on."""
_SOON_SECONDS = 0.1
_AGREE_SECONDS = 120
_AGAIN_SECONDS = 2.0


def annexed(cell: Cell) -> bool:
    """Whether the annex can be moved to."""
    return holds(cell.status.conditions, "Ready")


class Mover(Patient):
    """Moves a tenant to its end. Raises Stuck."""

    async def move(self, name: str, tenant: str, target: dict[str, Any], *, abort: bool = False) -> bool:
        """Whether it lives there now; ``abort`` takes the wish back as soon as something was begun."""
        spec = {"tenant": tenant, "target": target, "graceSeconds": 0, "maxPauseSeconds": PAUSE_SECONDS}
        manifest = {"apiVersion": API_VERSION, "kind": "TenantMove", "metadata": {"name": name}, "spec": spec}
        await self._applied(manifest)
        if abort:
            await self._until(TenantMove, name, lambda move: move.status.started_at is not None, poll=_SOON_SECONDS)
            await self._applied({**manifest, "spec": {**spec, "state": "Abort"}})
        ended = (await self._until(TenantMove, name, lambda move: move.status.finished_at is not None)).status
        if ended.phase != "Complete" and not (abort and ended.phase == "Aborted"):
            self._ledger.wrong.append(f"the move {name} ended as {ended.phase}: {ended.message}")
        await self._removed(TenantMove, name)
        return ended.phase == "Complete"


class Wandering(Mover):
    """A tenant of the campaign, whose clients work on, goes to the annex and back; every third time it stays."""

    def __init__(self, fired: FiredOn, ledger: Ledger, tenant: str) -> None:
        super().__init__(fired, ledger)
        self._tenant = tenant

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, and then home."""
        try:
            await self._applied(ANNEX_MANIFEST)
            await self._until(Cell, ANNEX, annexed)
            await self._wander(stop)
        except Stuck as error:
            self._ledger.wrong.append(str(error))

    async def _wander(self, stop: asyncio.Event) -> None:
        home = here = self._ledger.tenants[self._tenant].cell
        for number in itertools.count(1):
            if stop.is_set() and here == home:
                return
            target = ANNEX if here == home else home
            abort = number % 3 == 0 and here == home
            if await self.move(f"{self._tenant}-{number}", self._tenant, {"cell": target}, abort=abort):
                here = target


class Moving(Churn):
    """Each tenant moves from a shared cell into one of its own and back, is used everywhere, and deleted."""

    async def _once(self, name: str, chosen: Iterator[Choice]) -> TenantLedger:
        await self._apply(name)
        tenant, mover = await self._ready(name), Mover(self._fired, self._ledger)
        await self._use(tenant, chosen)
        for way, target in (("out", {"isolation": "dedicated"}), ("in", {"cell": tenant.cell})):
            await mover.move(f"{name}-{way}", name, target)
            await self._use(tenant, chosen)
        await self._agree(tenant)
        await self._removed(Tenant, name)
        self._ledger.gone.append(tenant)
        return tenant

    async def _agree(self, tenant: TenantLedger) -> None:
        """All that was acknowledged is there; it is asked here, since the tenant is gone when the oracle asks."""
        caller, end = (
            Caller(self._fired, self._ledger, tenant.name, tenant.tenant_id),
            time.monotonic() + _AGREE_SECONDS,
        )
        try:
            while True:
                try:
                    found = [*await messages.check(caller, tenant), *await documents.check(caller, tenant)]
                except (GivenUp, Refused) as error:
                    raise Stuck(f"tenant/{tenant.name} does not answer after its moves: {error}") from error
                if not found:
                    return
                if time.monotonic() > end:
                    self._ledger.wrong += [f"after the moves of {tenant.name}: {item}" for item in found]
                    return
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            await caller.close()
