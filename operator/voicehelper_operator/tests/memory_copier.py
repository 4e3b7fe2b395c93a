"""Rows of tenants in memory, copied between cells; it notices who writes where nobody may."""

from __future__ import annotations

from collections.abc import Callable

from voicehelper_core import errors

from voicehelper_operator.moves.copying import Compared
from voicehelper_operator.moves.ends import Ends
from voicehelper_operator.tests.memory_slices import MemorySlice


class MemoryCopier:
    """``rows`` are a tenant's in a cell; ``closed`` are the pairs of cell and tenant that take no more.

    ``answering`` are answers that the source still writes. ``spoiled`` makes every comparison fail.
    """

    def __init__(self, list_: MemorySlice, step: Callable[[str], None]) -> None:
        self._list, self._step = list_, step
        self.rows: dict[tuple[str, str], set[str]] = {}
        self.closed: set[tuple[str, str]] = set()
        self.answering: dict[tuple[str, str], int] = {}
        self.spoiled = self.slow_fence = False
        self.restart()

    def restart(self) -> None:
        """A new operator knows nothing of what was compared."""
        self._checked: set[Ends] = set()

    def write(self, cell_id: str, tenant_id: str, row: str) -> None:
        """What a cell does for a tenant. Raises Unavailable where it may not."""
        if (cell_id, tenant_id) in self.closed:
            raise errors.Unavailable("the tenant moves")
        self.rows.setdefault((cell_id, tenant_id), set()).add(row)

    def _same(self, ends: Ends) -> Compared:
        source, target = (self.rows.get((cell, ends.tenant_id), set()) for cell in (ends.source, ends.target))
        if self.spoiled or source != target:
            raise errors.Unprocessable("rows: the checksums of source and target differ")
        return Compared(1, len(source), 0, 0)

    async def bring(self, ends: Ends) -> int:
        self._step("copier.bring.before")
        source = self.rows.get((ends.source, ends.tenant_id), set())
        target = self.rows.setdefault((ends.target, ends.tenant_id), set())
        lag = len(source ^ target)
        target.clear()
        target.update(source)
        self._step("copier.bring.after")
        return lag

    async def check(self, ends: Ends) -> Compared:
        await self.bring(ends)
        found = self._same(ends)
        self._checked.add(ends)
        return found

    async def close_source(self, ends: Ends) -> None:
        self._step("copier.close.before")
        if self.slow_fence:
            raise errors.Unavailable("a transaction of the tenant takes too long to wait for it now")
        self.closed.add((ends.source, ends.tenant_id))
        self._step("copier.close.after")

    async def open_source(self, ends: Ends) -> None:
        self._step("copier.open.before")
        self.closed.discard((ends.source, ends.tenant_id))

    async def finish(self, ends: Ends) -> Compared:
        assert ends in self._checked
        assert (ends.source, ends.tenant_id) in self.closed
        await self.bring(ends)
        return self._same(ends)

    async def open_target(self, ends: Ends) -> None:
        self._step("copier.open-target.before")
        self.closed.discard((ends.target, ends.tenant_id))

    async def answers(self, ends: Ends) -> int:
        self._step("copier.answers.before")
        left = self.answering.get((ends.source, ends.tenant_id), 0)
        if left:
            self.rows[ends.target, ends.tenant_id].add(f"answer {left}")
            self.answering[ends.source, ends.tenant_id] = left - 1
        return left

    async def close(self) -> None:
        """There is no connection."""

    def removed(self) -> None:
        """What the slices removed is gone here, too."""
        self.rows = {key: found for key, found in self.rows.items() if key in self._list.data}
