"""What should be there: the tenants and cells of the resource store, and connections to all stores."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from voicehelper_core import names
from voicehelper_core.milvus import MilvusClient
from voicehelper_crds import Cell, Tenant

from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.platform import FiredOn

_OF_CELL = re.compile(r"^([a-z][a-z0-9]{11})(?=[._-]|$)")


@dataclass(frozen=True, slots=True)
class World:
    """The platform and what lives in it now."""

    fired: FiredOn
    ledger: Ledger
    tenants: dict[str, Tenant]
    """By id."""
    cells: dict[str, Cell]
    """By id."""

    @classmethod
    async def now(cls, fired: FiredOn, ledger: Ledger) -> World:
        """Read the resources."""
        tenants, cells = await fired.live()
        return cls(
            fired,
            ledger,
            {t.status.tenant_id: t for t in tenants if t.status.tenant_id},
            {c.status.cell_id: c for c in cells if c.status.cell_id},
        )

    def of(self, cell_id: str) -> set[str]:
        """Ids of the tenants placed in a cell."""
        return {key for key, tenant in self.tenants.items() if tenant.status.cell_id == cell_id}

    def strangers(self, found: set[str], known: Container[str] = ()) -> list[str]:
        """Names that are neither ``known`` nor begin with the id of a cell that lives."""
        return sorted(name for name in found if name not in known and not self._living(name))

    def _living(self, name: str) -> bool:
        match = _OF_CELL.match(name)
        return match is not None and match[1] in self.cells

    @property
    def kafka(self) -> dict[str, Any]:
        """Settings of a Kafka client that may do everything."""
        return self.fired.platform.kafka_admin

    @asynccontextmanager
    async def milvus(self) -> AsyncIterator[MilvusClient]:
        """A client of the vector store."""
        client = MilvusClient(f"http://127.0.0.1:{self.fired.platform.ports['milvus']}", timeout=20)
        try:
            yield client
        finally:
            await client.close()


def table(cell_id: str, service: str, name: str) -> str:
    """A table of a cell's service."""
    return f"{names.schema(cell_id, service)}.{name}"
