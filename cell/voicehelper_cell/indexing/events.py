"""What indexing does on its own: it follows the events of documents, and looks for what was missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from voicehelper_core import context, faults
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable
from voicehelper_core.events import DocumentDeleted, DocumentUploaded, Envelope
from voicehelper_core.log import get_logger

from voicehelper_cell.indexing.queue import IndexingQueue
from voicehelper_cell.indexing.repair import Repair
from voicehelper_cell.knowledge.objects import Objects

log = get_logger(__name__)
SWEEP_SECONDS = 15.0
VECTORS_SECONDS = 60.0
Tenants = Callable[[], Iterable[TenantContext]]
"""The tenants placed in this cell now."""


class DocumentEvents:
    """Handles ``<cell>.document.events``. Every event may come more than once."""

    def __init__(self, queue: IndexingQueue, vectors: Any, objects: Objects) -> None:
        self._queue, self._vectors, self._objects = queue, vectors, objects

    async def handle(self, who: TenantContext, event: Envelope) -> None:
        """Queue what was uploaded; remove what a deleted or replaced document leaves behind."""
        payload = event.payload
        if isinstance(payload, DocumentUploaded):
            await self._queue.add(who, [payload.document_id])
            await self._objects.delete(who, payload.document_id, below=payload.revision)
        elif isinstance(payload, DocumentDeleted):
            await faults.point("indexing.forget.before")
            await self._objects.delete(who, payload.document_id)
            await self._vectors.delete_documents(who, [str(payload.document_id)])
            await faults.point("indexing.forget.effect")


def always() -> bool:
    """Where there is one process only."""
    return True


async def background(
    queue: IndexingQueue, repair: Repair, tenants: Tenants, leads: Callable[[], bool] = always
) -> None:
    """The queue's workers and the checks, until cancelled. Vectors and originals are for the process that leads:
    two that add the same vector at once would each see one too many."""
    async with asyncio.TaskGroup() as group:
        group.create_task(queue.run(), name="indexing-queue")
        group.create_task(_check(repair, tenants, leads), name="indexing-checks")


async def _check(repair: Repair, tenants: Tenants, leads: Callable[[], bool]) -> None:
    checked = float("-inf")
    while True:
        full = leads() and time.monotonic() - checked >= VECTORS_SECONDS
        if full:
            checked = time.monotonic()
        for who in list(tenants()):
            await _check_tenant(repair, who, full=full)
        await asyncio.sleep(SWEEP_SECONDS)


async def _check_tenant(repair: Repair, who: TenantContext, *, full: bool) -> None:
    with context.use(who):
        try:
            await repair.sweep(who)
            if full:
                await repair.vectors(who)
                await repair.originals(who)
        except Unavailable as error:
            log.warning("checking documents waits", reason=error.detail)
        except Exception as error:  # the next round tries again
            log.error("checking documents failed", error_type=type(error).__name__, exc_info=error)
