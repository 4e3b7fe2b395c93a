"""What was lost is made again, and what was left behind is removed, on real stores."""

from __future__ import annotations

from typing import Any

import pytest
from voicehelper_cell.indexing.tests.conftest import ACME, CELL, GLOBEX, Cell, collection
from voicehelper_cell.indexing.tests.documents import CATS, FEES
from voicehelper_core.faults import FaultError


async def totals_written(cell: Cell) -> set[tuple[str, int]]:
    """Which transaction wrote the totals of which tenant."""
    import asyncpg

    connection = await asyncpg.connect(cell.dsn)
    try:
        return {tuple(row) for row in await connection.fetch(f"select tenant_id, xmin from {CELL}_knowledge.totals")}
    finally:
        await connection.close()


async def test_a_lost_collection_is_rebuilt_from_postgres(cell: Cell) -> None:
    await cell.add(ACME, FEES)
    await cell.add(ACME, CATS)
    before = await cell.search(ACME, "sleeping cat", "vector")
    await collection(cell.milvus.uri)
    assert await cell.search(ACME, "sleeping cat", "vector") == []
    assert await cell.repair.vectors(ACME) == (2, 0)
    assert await cell.repair.vectors(ACME) == (0, 0)
    after = await cell.search(ACME, "sleeping cat", "vector")
    assert [hit.chunk_id for hit in after] == [hit.chunk_id for hit in before]


async def test_vectors_without_passages_are_removed(cell: Cell) -> None:
    document = await cell.add(ACME, FEES)
    await cell.add(ACME, CATS)
    await cell.knowledge.delete(ACME, str(document.id))
    assert await cell.repair.vectors(ACME) == (0, 1)
    assert await cell.vectors.count(ACME) == 1


async def test_what_a_killed_upload_left_among_the_objects_is_removed(cell: Cell, fault: Any) -> None:
    kept = await cell.add(ACME, FEES)
    fault("knowledge.upload.effect:1=raise")
    with pytest.raises(FaultError):
        await cell.upload(ACME, CATS)
    assert len(await cell.objects.revisions(ACME)) == 2
    assert await cell.repair.originals(ACME) == 1
    assert await cell.objects.revisions(ACME) == {(kept.id, kept.revision)}
    before = await totals_written(cell)
    assert await cell.repair.originals(ACME) == await cell.repair.originals(GLOBEX) == 0
    assert await totals_written(cell) == before, "looking wrote something"
