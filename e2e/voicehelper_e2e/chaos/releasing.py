"""Releases that go through a cell, there and back, while a tenant of the campaign moves in and out of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voicehelper_crds import Cell, CellRelease
from voicehelper_crds.validation import API_VERSION

from voicehelper_e2e.chaos.moving import ANNEX, ANNEX_MANIFEST, annexed
from voicehelper_e2e.chaos.patience import Patient, Stuck
from voicehelper_e2e.chaos.platform import FiredOn

COPY = "rc4a05c4a051"
"""Of the release that runs: another one by its name only."""
STRATEGY = {
    "waves": [{"name": "annex", "bake": {"seconds": 2}}],
    "failurePolicy": {"unhealthySeconds": 120, "maxRestarts": 1000},
    "progressDeadlineSeconds": 200,
}
"""What dies is killed by the campaign: that is not the release's fault."""


class Releasing(Patient):
    """Takes the annex from one release to the other and back."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``."""
        try:
            cell = await self._until(Cell, ANNEX, lambda cell: annexed(cell) and cell.status.release is not None)
            first = cell.status.release or ""
            folder = self._fired.watched.home.releases
            await asyncio.to_thread(shutil.copytree, folder / first, folder / COPY, dirs_exist_ok=True)
            for number in itertools.count(1):
                if stop.is_set():
                    return
                await self._release(f"chaos-{number}", COPY if number % 2 else first)
        except Stuck as error:
            self._ledger.wrong.append(str(error))

    async def _release(self, name: str, release: str) -> None:
        spec = {
            "release": release,
            "strategy": STRATEGY,
            "cellSelector": {"matchLabels": ANNEX_MANIFEST["metadata"]["labels"]},
        }
        await self._applied(
            {"apiVersion": API_VERSION, "kind": "CellRelease", "metadata": {"name": name}, "spec": spec}
        )
        ended = (await self._until(CellRelease, name, lambda item: item.status.finished_at is not None)).status
        if ended.phase not in ("Complete", "RolledBack"):
            self._ledger.wrong.append(f"the release {name} ended as {ended.phase}")
        await self._removed(CellRelease, name)


@asynccontextmanager
async def following(fired: FiredOn) -> AsyncIterator[None]:
    """Cells keep their release until a CellRelease takes them along, as long as the block runs."""
    settings = fired.watched.home.folder / "settings.json"
    before = settings.read_text() if settings.exists() else None
    told = json.loads(before) if before else {}
    told.setdefault("control-plane", {}).setdefault("operator", {})["cells_follow"] = "rollouts"
    settings.write_text(json.dumps(told))
    await _restarted(fired)
    try:
        yield
    finally:
        if before is None:
            settings.unlink()
        else:
            settings.write_text(before)
        await _restarted(fired)


async def _restarted(fired: FiredOn) -> None:
    for command in ("stop", "start"):
        await asyncio.to_thread(fired.platform.cli, command, "control-plane")
    await fired.ready("control-plane")
