"""Milvus: a collection per cell, a partition per tenant."""

from __future__ import annotations

import asyncio
from typing import Any

from voicehelper_core import faults, names

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.interface import CellRef, TenantRef

DIMENSION = 384
MAX_PARTITIONS = 1024
_SECONDS = 20


class MilvusSlice:
    """The embedded edition has no users: our services keep cells apart there."""

    store = "milvus"
    isolated = False

    def __init__(self, settings: OperatorSettings) -> None:
        self._uri = settings.milvus_uri
        self._connected: Any = None
        self._lock = asyncio.Lock()

    async def _call(self, work: Any, *arguments: Any) -> Any:
        """In a thread, one at a time; a lost connection is made anew next time."""
        async with self._lock:
            try:
                return await asyncio.to_thread(work, *arguments)
            except Exception:
                self._connected = None
                raise

    def _client(self) -> Any:
        from pymilvus import MilvusClient

        if self._connected is None:
            self._connected = MilvusClient(uri=self._uri, timeout=_SECONDS)
        return self._connected

    async def observe(self, cell: CellRef) -> list[str]:
        exists = await self._call(lambda: self._client().has_collection(names.collection(cell.cell_id)))
        return [] if exists else [f"collection {names.collection(cell.cell_id)}"]

    async def ensure(self, cell: CellRef) -> list[str]:
        missing = await self.observe(cell)
        if missing:
            await faults.point("operator.milvus.before")
            await self._call(self._create, names.collection(cell.cell_id))
            await faults.point("operator.milvus.after")
        return missing

    def _create(self, collection: str) -> None:
        from pymilvus import DataType

        client = self._client()
        schema = client.create_schema(auto_id=True, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        for name in ("chunk_id", "document_id", "tenant_id"):
            schema.add_field(name, DataType.VARCHAR, max_length=64)
        schema.add_field("content", DataType.VARCHAR, max_length=65_535)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIMENSION)
        schema.add_field("created_at", DataType.INT64)
        index = client.prepare_index_params()
        # FLAT is exact, and the quickest below 20,000 vectors a tenant on the embedded edition (measured).
        index.add_index("embedding", index_type="FLAT", metric_type="IP")
        client.create_collection(collection, schema=schema, index_params=index, consistency_level="Strong")

    async def verify(self, cell: CellRef) -> str | None:
        missing = await self.observe(cell)
        return f"{missing[0]} is missing" if missing else None

    async def archive(self, cell: CellRef) -> None:
        """The collection stays; nothing can be marked or locked here."""

    async def remove(self, cell: CellRef) -> None:
        await self._call(self._drop, names.collection(cell.cell_id))

    def _drop(self, collection: str) -> None:
        if self._client().has_collection(collection):
            self._client().drop_collection(collection)

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        collection, partition = names.collection(cell.cell_id), names.partition(tenant.tenant_id)
        if await self._call(lambda: self._client().has_partition(collection, partition)):
            return []
        count = await self._call(lambda: len(self._client().list_partitions(collection)))
        if count >= MAX_PARTITIONS:
            raise RuntimeError(f"{collection} has {count} partitions, the most that Milvus allows")
        await self._call(lambda: self._client().create_partition(collection, partition))
        return [f"partition {partition}"]

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        if data:
            await self._call(self._drop_partition, names.collection(cell.cell_id), names.partition(tenant_id))

    def _drop_partition(self, collection: str, partition: str) -> None:
        client = self._client()
        if client.has_collection(collection) and client.has_partition(collection, partition):
            try:
                client.release_partitions(collection, [partition])  # a server drops released partitions only
            except Exception as error:
                if "UNIMPLEMENTED" not in str(error):  # the embedded edition knows no release, and needs none
                    raise
            client.drop_partition(collection, partition)
