"""The cell's Milvus collection: dense vectors, one partition per tenant.

Postgres is the truth. What is found here counts only when its chunk is still there, so a vector too many
does no harm, and a vector too few is put back from ``chunk_vectors`` by indexing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import NotFound, Unavailable
from voicehelper_core.log import get_logger
from voicehelper_core.milvus import NO_COLLECTION, NO_PARTITION, NOT_LOADED, MilvusClient, MilvusError

log = get_logger(__name__)
DIMENSION = 384
TIMEOUT = 10.0
_PAGE = 10_000
_LOOSE = 256  # rows that Milvus Lite still scans in Python, 30 microseconds each; a segment takes them at once
T = TypeVar("T")


class VectorSettings(Protocol):
    """What this module needs of the cell's settings."""

    cell_id: str
    milvus_uri: str


@dataclass(frozen=True, slots=True)
class Vector:
    """The embedding of one chunk."""

    chunk_id: str
    document_id: str
    embedding: Sequence[float]


class Vectors:
    """Vectors of the tenant whose context is given; no call reaches another tenant's partition."""

    def __init__(self, settings: VectorSettings) -> None:
        self._uri = settings.milvus_uri
        self._cell_id = settings.cell_id
        self._collection = names.collection(settings.cell_id)
        self._client: MilvusClient | None = None
        self._loose = _LOOSE  # an earlier process may have left some

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def search(self, who: TenantContext, embedding: Sequence[float], limit: int) -> list[tuple[str, float]]:
        """Chunk ids with their inner product, best first; none where the tenant has no partition yet."""
        partition = self._partition(who)
        try:
            found = await self._call(
                lambda client: client.search(
                    self._collection,
                    embedding,
                    limit=limit,
                    partition_names=[partition],
                    output_fields=["chunk_id"],
                    search_params={"metric_type": "IP"},
                    timeout=TIMEOUT,
                )
            )
        except NotFound:
            return []
        best: dict[str, float] = {}
        for score, fields in found:
            best.setdefault(str(fields["chunk_id"]), score)
        return list(best.items())

    async def insert(self, who: TenantContext, vectors: Sequence[Vector]) -> None:
        """Add vectors. Raises Unavailable while the tenant has no partition."""
        if not vectors:
            return
        now = int(time.time() * 1000)
        rows = [
            {
                "chunk_id": vector.chunk_id,
                "document_id": vector.document_id,
                "tenant_id": who.tenant_id,
                "content": "",
                "embedding": vector.embedding,
                "created_at": now,
            }
            for vector in vectors
        ]
        partition = self._partition(who)
        try:
            await self._call(
                lambda client: client.insert(self._collection, rows, partition_name=partition, timeout=TIMEOUT)
            )
        except NotFound as error:
            raise Unavailable(error.detail) from None
        self._loose += len(rows)
        if self._loose >= 8 * _LOOSE:
            await self.settle()

    async def settle(self) -> None:
        """Let Milvus write a segment where enough rows have come since the last one; searches get quicker."""
        if self._loose < _LOOSE:
            return
        self._loose = 0
        try:
            await self._call(lambda client: client.flush(self._collection, timeout=60))
        except (NotFound, Unavailable) as error:
            log.info("vectors were not flushed", reason=error.detail)

    async def delete_documents(self, who: TenantContext, document_ids: Sequence[str]) -> None:
        """Remove the documents' vectors, whichever revision they are of."""
        await self._delete(who, "document_id", document_ids)

    async def delete_chunks(self, who: TenantContext, chunk_ids: Sequence[str]) -> None:
        """Remove single vectors."""
        await self._delete(who, "chunk_id", chunk_ids)

    async def count(self, who: TenantContext) -> int:
        """How many vectors the tenant has."""
        if not await self._has_partition(who):
            return 0
        rows = await self._query(who, output_fields=["count(*)"])
        return int(rows[0]["count(*)"]) if rows else 0

    async def chunks(self, who: TenantContext) -> dict[str, tuple[str, int]]:
        """Chunk ids of all vectors, each with its document id and how many vectors it has."""
        result: dict[str, tuple[str, int]] = {}
        if not await self._has_partition(who):
            return result
        last = -(2**63)
        while True:
            rows = await self._query(who, f" and id > {last}", output_fields=["id", "chunk_id", "document_id"])
            for row in rows:
                known = result.get(row["chunk_id"], ("", 0))
                result[str(row["chunk_id"])] = (str(row["document_id"]), known[1] + 1)
            if len(rows) < _PAGE:
                return result
            last = max(int(row["id"]) for row in rows)

    async def _query(self, who: TenantContext, condition: str = "", **arguments: Any) -> list[Any]:
        if "count(*)" not in arguments["output_fields"]:
            arguments["limit"] = _PAGE
        return await self._call(
            lambda client: client.query(
                self._collection,
                filter=f'tenant_id == "{names.checked(who.tenant_id)}"{condition}',
                partition_names=[self._partition(who)],
                timeout=TIMEOUT,
                **arguments,
            )
        )

    async def _delete(self, who: TenantContext, field: str, values: Sequence[str]) -> None:
        partition = self._partition(who)
        if not values or not await self._has_partition(who):
            return
        wanted = ", ".join(f'"{value}"' for value in values)
        # The tenant is in the filter too: Milvus Lite takes a partition that is gone for "all of them".
        condition = f'tenant_id == "{names.checked(who.tenant_id)}" and {field} in [{wanted}]'
        await self._call(
            lambda client: client.delete(self._collection, filter=condition, partition_name=partition, timeout=TIMEOUT)
        )

    async def _has_partition(self, who: TenantContext) -> bool:
        partition = self._partition(who)
        try:
            return await self._call(lambda client: client.has_partition(self._collection, partition, timeout=TIMEOUT))
        except NotFound:
            return False

    def _partition(self, who: TenantContext) -> str:
        if who.cell_id != self._cell_id:
            raise PermissionError("the context belongs to another cell")
        return names.partition(who.tenant_id)

    async def _call(self, call: Callable[[MilvusClient], Awaitable[T]]) -> T:
        """Run a request; a restarted Milvus holds the collection unloaded, so load it and ask again."""
        if self._client is None:
            self._client = MilvusClient(self._uri, timeout=TIMEOUT)
        client = self._client
        with _translated():
            try:
                return await call(client)
            except MilvusError as error:
                if error.code != NOT_LOADED:
                    raise
                log.warning("vectors are not loaded: loading them")
                await client.load_collection(self._collection, timeout=60)
                return await call(client)


@contextmanager
def _translated() -> Iterator[None]:
    """Milvus' errors as ours: NotFound for collection or partition, Unavailable for everything else."""
    try:
        yield
    except MilvusError as error:
        if error.code in (NO_COLLECTION, NO_PARTITION) or re.search("not found|does not exist", error.message):
            raise NotFound("the tenant has no vectors here yet") from None
        log.warning("vectors are unavailable", code=error.code, reason=str(error)[:300])
        raise Unavailable("the vector store is not available: try again in a moment") from None
