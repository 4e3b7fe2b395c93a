"""Every id that a resource has ever had, as the API server tells it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.follow import Selection, follow_all
from voicehelper_core.kubernetes_api.kinds import OURS

_IDS = {"Tenant": ("tenantId", "cell", "cellId"), "Cell": ("cellId",)}


class Record:
    """Of a watch that the proxy does not spoil."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        """Values by kind, uid and field."""

    def take(self, kind: str, item: Object) -> None:
        status = item.get("status") or {}
        for field in _IDS[kind]:
            if value := status.get(field):
                self.seen[kind, item["metadata"]["uid"], field].add(value)

    def doubled(self) -> dict[tuple[str, str, str], set[str]]:
        """Resources that had two different values of one field, which none may have."""
        return {key: values for key, values in self.seen.items() if len(values) > 1}


@asynccontextmanager
async def recording(api: Api) -> AsyncIterator[Record]:
    """While the block runs."""
    record = Record()

    async def run() -> None:
        async for delta in follow_all(api, Selection(OURS["Tenant"]), Selection(OURS["Cell"])):
            if delta.type == "applied":
                record.take(delta.kind.name, delta.object)

    task = asyncio.create_task(run())
    try:
        yield record
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
