"""Milvus: a collection per cell, a partition per tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
from voicehelper_core import faults, names
from voicehelper_core.milvus import NO_COLLECTION, Column, Index, MilvusClient, MilvusError

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.interface import CellRef, TenantRef

DIMENSION = 384
MAX_PARTITIONS = 1024
COLUMNS = (
    Column("id", "Int64", primary=True),
    Column("chunk_id", "VarChar", 64),
    Column("document_id", "VarChar", 64),
    Column("tenant_id", "VarChar", 64),
    Column("content", "VarChar", 65_535),
    Column("embedding", "FloatVector", DIMENSION),
    Column("created_at", "Int64"),
)
# FLAT is exact, and the quickest below 20,000 vectors a tenant on the embedded edition (measured).
INDEX = Index("embedding", index_type="FLAT", metric_type="IP")
_SECONDS = 20


class MilvusSlice:
    """The embedded edition has no users: our services keep cells apart there."""

    store = "milvus"
    isolated = False

    def __init__(self, settings: OperatorSettings) -> None:
        self._uri = settings.milvus_uri
        self._connected: MilvusClient | None = None
        self._making = asyncio.Lock()  # what counts partitions and then makes one must not be overtaken

    @property
    def _client(self) -> MilvusClient:
        if self._connected is None:
            self._connected = MilvusClient(self._uri, timeout=_SECONDS)
        return self._connected

    async def close(self) -> None:
        """Disconnect."""
        if self._connected is not None:
            await self._connected.close()

    async def observe(self, cell: CellRef) -> list[str]:
        collection = names.collection(cell.cell_id)
        try:
            indexed = await self._client.has_index(collection, INDEX.field)
        except MilvusError as error:
            if error.code != NO_COLLECTION:
                raise
            return [f"collection {collection}"]
        return [] if indexed else [f"index of {collection}"]

    async def ensure(self, cell: CellRef) -> list[str]:
        missing = await self.observe(cell)
        if missing:
            collection = names.collection(cell.cell_id)
            await faults.point("operator.milvus.before")
            if not await self._client.has_collection(collection):
                await self._client.create_collection(collection, COLUMNS)
            await self._client.create_index(collection, INDEX)
            await self._client.load_collection(collection)
            await faults.point("operator.milvus.effect")
        return missing

    async def verify(self, cell: CellRef) -> str | None:
        missing = await self.observe(cell)
        return f"{missing[0]} is missing" if missing else None

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        """There is nothing to migrate."""

    async def archive(self, cell: CellRef) -> None:
        """The collection stays; nothing can be marked or locked here."""

    async def remove(self, cell: CellRef) -> None:
        collection = names.collection(cell.cell_id)
        if await self._client.has_collection(collection):
            await self._client.drop_collection(collection)

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        collection, partition = names.collection(cell.cell_id), names.partition(tenant.tenant_id)
        if await self._client.has_partition(collection, partition):
            return []
        async with self._making:
            count = len(await self._client.list_partitions(collection))
            if count >= MAX_PARTITIONS:
                raise RuntimeError(f"{collection} has {count} partitions, the most that Milvus allows")
            await faults.point("operator.partition.before")
            await self._client.create_partition(collection, partition)
            await faults.point("operator.partition.effect")
        return [f"partition {partition}"]

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        there = set(await self._client.list_partitions(names.collection(cell.cell_id)))
        return {tenant.tenant_id for tenant in tenants if names.partition(tenant.tenant_id) not in there}

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        if not data:
            return
        collection, partition = names.collection(cell.cell_id), names.partition(tenant_id)
        client = self._client
        if await client.has_collection(collection) and await client.has_partition(collection, partition):
            try:
                await client.release_partitions(collection, [partition])  # a server drops released partitions only
            except MilvusError as error:
                if error.grpc_code is not grpc.StatusCode.UNIMPLEMENTED:  # the embedded edition needs no release
                    raise
            await client.drop_partition(collection, partition)
