"""Tenants that are archived when they go, and restored from their archive under another name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from voicehelper_crds import Tenant
from voicehelper_embedded import throwaway

from voicehelper_e2e.chaos.churn import Churn
from voicehelper_e2e.chaos.ledger import TenantLedger
from voicehelper_e2e.chaos.patience import PATIENCE_SECONDS, Stuck
from voicehelper_e2e.chaos.schedule import Choice

_PAUSE_SECONDS = 2.0
_TAKES_SECONDS = 120


class Archiving(Churn):
    """Each tenant is used, archived, restored, and deleted with all it has."""

    def _manifest(self, name: str) -> dict[str, Any]:
        return throwaway.tenant(name, self._plan, deletion={"policy": "Archive"})

    async def _once(self, name: str, chosen: Iterator[Choice]) -> TenantLedger:
        tenant = await super()._once(name, chosen)
        back = f"{name}-back"
        await self._restore(tenant, back)
        restored = await self._ready(back)
        await self._removed(Tenant, back)
        self._ledger.gone.append(restored)
        return tenant

    async def _restore(self, tenant: TenantLedger, name: str) -> None:
        """Again and again, as people would; what is restored is compared with the archive by the platform itself."""
        found = list(
            (self._fired.platform.home / "data" / "archives").glob(f"{tenant.name}-{tenant.tenant_id}-*.tar.gz")
        )
        if len(found) != 1:
            raise Stuck(f"tenant/{tenant.name} has {len(found)} archives")
        end, command = time.monotonic() + PATIENCE_SECONDS, ("tenant", "import", str(found[0]), "--name", name)
        while True:
            done = await asyncio.to_thread(self._fired.platform.cli, *command, check=False, timeout=_TAKES_SECONDS)
            if done.returncode == 0 or "was restored from this archive" in done.stderr:
                return
            if time.monotonic() > end:
                raise Stuck(f"tenant/{name} was not restored after {PATIENCE_SECONDS} s: {done.stderr[-500:]}")
            await asyncio.sleep(_PAUSE_SECONDS)
