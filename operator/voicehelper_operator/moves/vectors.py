"""A tenant's vectors in the target: those of the embeddings that have come in Postgres, no more and no less."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import asyncpg
from voicehelper_core import names
from voicehelper_core.errors import Unprocessable
from voicehelper_core.milvus import MilvusClient

from voicehelper_operator.archives.vectors import insert
from voicehelper_operator.moves.ends import Ends

_PAGE = 500


async def bring(client: MilvusClient, connection: asyncpg.Connection, ends: Ends) -> int:
    """Insert what is missing and delete what is too much; how many were. The partition is there already."""
    wanted, present = await _wanted(connection, ends), await _present(client, ends)
    extra = sorted(chunk for chunk, times in present.items() if chunk not in wanted or times > 1)
    collection, partition = names.collection(ends.target), names.partition(ends.tenant_id)
    for page in _pages(extra):
        listed = ", ".join(f'"{chunk}"' for chunk in page)
        of = f'tenant_id == "{ends.tenant_id}" and chunk_id in [{listed}]'
        await client.delete(collection, filter=of, partition_name=partition)
    missing = sorted(wanted - (present.keys() - set(extra)))
    schema = names.schema(ends.target, "knowledge")
    for page in _pages(missing):
        found = await connection.fetch(
            f"SELECT v.chunk_id, c.document_id, v.embedding FROM {schema}.chunk_vectors v JOIN {schema}.chunks c"
            " ON c.id = v.chunk_id WHERE v.tenant_id = $1 AND v.chunk_id = ANY($2::uuid[])",
            ends.tenant_id,
            page,
        )
        await insert(client, collection, partition, found)
    if missing or extra:
        await client.flush(collection)
    return len(missing) + len(extra)


async def compare(client: MilvusClient, connection: asyncpg.Connection, ends: Ends, *, values: bool) -> int:
    """Compare the ids on both sides, and with ``values`` each number of each vector; how many there are.

    Raises Unprocessable.
    """
    wanted, present = await _wanted(connection, ends), await _present(client, ends)
    if wanted != present.keys() or any(times > 1 for times in present.values()):
        raise Unprocessable(f"vectors: the target has {sum(present.values())} of {len(wanted)}, or others")
    schema = names.schema(ends.target, "knowledge")
    for page in _pages(sorted(wanted)) if values else ():
        rows = await connection.fetch(
            f"SELECT chunk_id, embedding FROM {schema}.chunk_vectors"
            " WHERE tenant_id = $1 AND chunk_id = ANY($2::uuid[])",
            ends.tenant_id,
            page,
        )
        kept = {str(row["chunk_id"]): bytes(row["embedding"]) for row in rows}
        listed = ", ".join(f'"{chunk}"' for chunk in page)
        for found in await client.query(
            names.collection(ends.target),
            filter=f'tenant_id == "{ends.tenant_id}" and chunk_id in [{listed}]',
            partition_names=[names.partition(ends.tenant_id)],
            output_fields=["chunk_id", "embedding"],
        ):
            vector = found["embedding"]
            if struct.pack(f"<{len(vector)}f", *vector) != kept.get(str(found["chunk_id"])):
                raise Unprocessable(f"vectors: that of {found['chunk_id']} is another in the target")
    return len(wanted)


async def _wanted(connection: asyncpg.Connection, ends: Ends) -> set[str]:
    table = f"{names.schema(ends.target, 'knowledge')}.chunk_vectors"
    return {
        str(row["chunk_id"])
        for row in await connection.fetch(f"SELECT chunk_id FROM {table} WHERE tenant_id = $1", ends.tenant_id)
    }


async def _present(client: MilvusClient, ends: Ends) -> dict[str, int]:
    """How many vectors each passage has."""
    found: dict[str, int] = {}
    for row in await client.query(
        names.collection(ends.target),
        filter=f'tenant_id == "{ends.tenant_id}"',
        partition_names=[names.partition(ends.tenant_id)],
        output_fields=["chunk_id"],
    ):
        chunk = str(row["chunk_id"])
        found[chunk] = found.get(chunk, 0) + 1
    return found


def _pages(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[first : first + _PAGE] for first in range(0, len(items), _PAGE))
