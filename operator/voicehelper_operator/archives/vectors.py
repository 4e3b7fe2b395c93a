"""A tenant's vectors from the embeddings that Postgres keeps beside its passages: no model is needed for them."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
from voicehelper_core import names
from voicehelper_core.milvus import MilvusClient

_SECONDS = 60
_PAGE = 500


class TenantVectors:
    """Of all cells; the partition is there already."""

    def __init__(self, uri: str) -> None:
        self._client = MilvusClient(uri, timeout=_SECONDS)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def rebuild(self, connection: asyncpg.Connection, cell_id: str, tenant_id: str) -> int:
        """Make the tenant's vectors those of its passages; how many there are."""
        collection, partition = names.collection(cell_id), names.partition(tenant_id)
        if await self.count(cell_id, tenant_id):
            await self._client.delete(collection, filter=_of(tenant_id), partition_name=partition)
        schema = names.schema(cell_id, "knowledge")
        if not await connection.fetchval("SELECT to_regclass($1)", f"{schema}.chunk_vectors"):
            return 0
        async with connection.transaction(readonly=True):
            page: list[asyncpg.Record] = []
            async for row in connection.cursor(
                f"SELECT v.chunk_id, c.document_id, v.embedding FROM {schema}.chunk_vectors v"
                f" JOIN {schema}.chunks c ON c.tenant_id = v.tenant_id AND c.id = v.chunk_id WHERE v.tenant_id = $1",
                tenant_id,
                prefetch=_PAGE,
            ):
                page.append(row)
                if len(page) == _PAGE:
                    await insert(self._client, collection, partition, page)
                    page = []
            await insert(self._client, collection, partition, page)
        await self._client.flush(collection)
        return await self.count(cell_id, tenant_id)

    async def count(self, cell_id: str, tenant_id: str) -> int:
        """How many the tenant has."""
        collection, partition = names.collection(cell_id), names.partition(tenant_id)
        rows = await self._client.query(
            collection, filter=_of(tenant_id), partition_names=[partition], output_fields=["count(*)"]
        )
        return int(rows[0]["count(*)"]) if rows else 0


async def insert(client: MilvusClient, collection: str, partition: str, page: Sequence[asyncpg.Record]) -> None:
    """Vectors of passages: ``chunk_id``, ``document_id`` and ``embedding`` of each."""
    now = int(time.time() * 1000)
    rows: list[dict[str, Any]] = [
        {
            "chunk_id": str(row["chunk_id"]),
            "document_id": str(row["document_id"]),
            "tenant_id": partition,
            "content": "",
            "embedding": struct.unpack(f"<{len(row['embedding']) // 4}f", row["embedding"]),
            "created_at": now,
        }
        for row in page
    ]
    if rows:
        await client.insert(collection, rows, partition_name=partition)


def _of(tenant_id: str) -> str:
    return f'tenant_id == "{names.checked(tenant_id)}"'
