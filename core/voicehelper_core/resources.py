"""The resource store that a process is told to use: the one of one machine, or the Kubernetes API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voicehelper_core.ports import ResourceStore

Substrate = Literal["postgres", "kubernetes"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, and a question that fails while it is away."""

    store: ResourceStore
    ask: Callable[[], Awaitable[object]]


@asynccontextmanager
async def opened(substrate: Substrate, dsn: str, kubeconfig: Path | None = None) -> AsyncIterator[Opened]:
    """Closed at the end. The client library of the other substrate is not even imported."""
    if substrate == "kubernetes":
        from voicehelper_core.kubernetes_api import KubernetesResourceStore, connect
        from voicehelper_core.kubernetes_api.kinds import OURS

        api = await connect(kubeconfig)
        try:
            yield Opened(KubernetesResourceStore(api), lambda: api.list(OURS["CellClass"]))
        finally:
            await api.close()
        return
    from voicehelper_core import embedded_store

    pool = await embedded_store.connect(dsn)
    try:
        yield Opened(embedded_store.PostgresResourceStore(pool), lambda: pool.fetchval("SELECT 1"))
    finally:
        try:
            await asyncio.wait_for(pool.close(), timeout=1)
        except TimeoutError:
            pool.terminate()
