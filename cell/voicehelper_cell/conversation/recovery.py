"""Finds the answers that a dead process left behind, and keeps those of this process from being taken for such."""

from __future__ import annotations

import asyncio

from voicehelper_core.log import get_logger

from voicehelper_cell.conversation.models import LEASE_SECONDS
from voicehelper_cell.conversation.runs import Runs
from voicehelper_cell.placements import Placements

log = get_logger(__name__)
SWEEP_SECONDS = 10.0


class Recovery:
    """``alone``: no other process of this service can be alive, so what others left is looked at once: at the start,
    and when a tenant comes that may have been restored from an archive.

    Otherwise every replica looks from time to time for answers whose lease has ended; the rows are locked while they
    are marked, so one of them does it.
    """

    def __init__(self, runs: Runs, placements: Placements, *, alone: bool) -> None:
        self._runs, self._placements, self._alone = runs, placements, alone
        self.reason: str | None = "unfinished answers are being looked at"

    async def run(self) -> None:
        """Until cancelled; tries until it worked."""
        while self._placements.reason is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        looked: set[str] = set()
        while True:
            serving = {who.tenant_id for who in self._placements.all()}
            tenants = [who for who in self._placements.all(served=False) if who.tenant_id not in looked]
            try:
                count = await self._runs.recover(tenants, alone=self._alone)
            except Exception as error:
                log.warning("unfinished answers cannot be looked at yet", error=str(error)[:300])
                await asyncio.sleep(0.5)
                continue
            if count:
                log.warning("marked unfinished answers of a dead process as failed", count=count)
            if self._alone:  # a tenant that is suspended may be about to be filled from an archive
                looked = (looked & serving) | ({who.tenant_id for who in tenants} & serving)
            self.reason = None
            await asyncio.sleep(SWEEP_SECONDS)

    async def keep(self) -> None:
        """Renew the leases of this process's answers until cancelled; short answers never need it."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            await self._runs.renew()
