"""Objects on one machine: a folder per cell, a folder per tenant in it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from voicehelper_core import faults, names

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.interface import CellRef, TenantRef


@asynccontextmanager
async def making() -> AsyncIterator[None]:
    """Around the effect of ``ensure``, wherever the objects are."""
    await faults.point("operator.objects.before")
    yield
    await faults.point("operator.objects.effect")


class ObjectsSlice:
    """On one machine the folders' owner and mode keep cells apart; the workload runtime sets them (ADR 12)."""

    store = "objects"
    isolated = True

    def __init__(self, settings: OperatorSettings) -> None:
        self._root = Path(settings.objects_root)

    async def close(self) -> None:
        """There is no connection."""

    def _folder(self, cell: CellRef) -> Path:
        return self._root / names.checked(cell.cell_id)

    async def observe(self, cell: CellRef) -> list[str]:
        folder = self._folder(cell)
        return [] if await asyncio.to_thread(folder.is_dir) else [f"folder {folder.name}"]

    async def ensure(self, cell: CellRef) -> list[str]:
        missing = await self.observe(cell)
        if missing:
            async with making():
                await asyncio.to_thread(lambda: self._folder(cell).mkdir(mode=0o2770, parents=True, exist_ok=True))
        return missing

    async def verify(self, cell: CellRef) -> str | None:
        missing = await self.observe(cell)
        return f"{missing[0]} is missing" if missing else None

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        """There is nothing to migrate."""

    async def archive(self, cell: CellRef) -> None:
        """The folder stays; without a workload nobody opens it."""

    async def remove(self, cell: CellRef) -> None:
        await asyncio.to_thread(_remove, self._folder(cell))

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        return []  # a prefix is there as soon as something is written below it

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        return set()

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        if data:
            await asyncio.to_thread(_remove, self._folder(cell) / names.checked(tenant_id))


def _remove(folder: Path) -> None:
    """Raises OSError where something stays."""
    if folder.exists():
        shutil.rmtree(folder)
