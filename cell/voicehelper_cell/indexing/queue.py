"""Gathers documents of many events into batches, a tenant at a time, tenants in turn.

The queue is only memory: what it loses, the sweep finds again, since ``documents.status`` is the truth.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict

from voicehelper_core.context import TenantContext
from voicehelper_core.log import get_logger

from voicehelper_cell.indexing.service import IndexingService

log = get_logger(__name__)
BATCH_DOCUMENTS = 8
WORKERS = 2


class IndexingQueue:
    """Feeds the service. ``run`` works until it is cancelled."""

    def __init__(self, service: IndexingService) -> None:
        self._service = service
        self._waiting: OrderedDict[str, tuple[TenantContext, OrderedDict[uuid.UUID, None]]] = OrderedDict()
        self._wake = asyncio.Condition()

    async def add(self, who: TenantContext, document_ids: list[uuid.UUID]) -> None:
        """Index the documents soon."""
        async with self._wake:
            _, waiting = self._waiting.setdefault(who.tenant_id, (who, OrderedDict()))
            for document_id in document_ids:
                waiting.setdefault(document_id)
            self._wake.notify_all()

    async def run(self) -> None:
        """The workers."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"indexing-{number}")

    async def _work(self) -> None:
        later: set[asyncio.Task[None]] = set()
        while True:
            async with self._wake:
                while not (batch := self._take()):
                    await self._wake.wait()
            who, ids = batch
            try:
                wait = await self._service.process(who, ids)
            except Exception as error:  # Postgres is away: the lease ends, the sweep tries again
                log.error("indexing could not record its work", error_type=type(error).__name__, exc_info=error)
                wait = 5.0
            if wait is not None:
                task = asyncio.create_task(self._add_later(who, ids, wait))
                later.add(task)
                task.add_done_callback(later.discard)
            if not self._waiting:
                await self._service.settle()
            async with self._wake:
                self._wake.notify_all()  # what was skipped as busy may be taken now

    async def _add_later(self, who: TenantContext, ids: list[uuid.UUID], seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.add(who, ids)

    def _take(self) -> tuple[TenantContext, list[uuid.UUID]] | None:
        for tenant_id, (who, waiting) in list(self._waiting.items()):
            ids = [document_id for document_id in waiting if document_id not in self._service.busy][:BATCH_DOCUMENTS]
            for document_id in ids:
                del waiting[document_id]
            if waiting:
                self._waiting.move_to_end(tenant_id)
            else:
                del self._waiting[tenant_id]
            if ids:
                return who, ids
        return None
