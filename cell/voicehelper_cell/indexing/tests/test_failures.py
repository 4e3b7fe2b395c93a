"""Indexing that fails, is overtaken or dies, on real stores."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from voicehelper_cell.indexing import repository
from voicehelper_cell.indexing.tests.conftest import ACME, Cell
from voicehelper_cell.indexing.tests.documents import CATS, FEES
from voicehelper_core.errors import Conflict, NotFound, Unavailable, Unprocessable


@pytest.mark.parametrize(
    "point", ["indexing.claim.recorded", "indexing.store.before", "indexing.store.effect", "indexing.store.recorded"]
)
@pytest.mark.parametrize("documents", [1, 3])
async def test_a_failure_at_any_step_is_repaired_by_running_again(
    cell: Cell, fault: Any, point: str, documents: int
) -> None:
    uploaded = [await cell.upload(ACME, f"{FEES} Edition {n}.") for n in range(documents)]
    ids = [document.id for document in uploaded]
    fault(f"{point}:1=raise")
    try:
        await cell.indexing.process(ACME, ids)
    except Exception as error:
        assert "fault point" in str(error)
    fault("")
    await cell.indexing.process(ACME, ids)
    assert {(await cell.knowledge.get(ACME, str(one))).status for one in ids} == {"indexed"}
    count = (await cell.sql(ACME, "select chunks from totals"))[0]["chunks"]
    assert await cell.vectors.count(ACME) == count == documents
    assert len(await cell.search(ACME, "annual fee of the bronze card", "vector")) == documents


async def test_what_fails_again_and_again_is_marked_failed_with_a_reason(cell: Cell, fault: Any) -> None:
    bad, good = await cell.upload(ACME, FEES), await cell.upload(ACME, CATS)
    fault("indexing.store.before=raise")
    for _ in range(6):
        await cell.indexing.process(ACME, [bad.id])
    fault("")
    document = await cell.knowledge.get(ACME, str(bad.id))
    assert (document.status, document.error) == ("failed", "FaultError while indexing")
    with pytest.raises(Unprocessable, match="FaultError"):
        await cell.indexing.index_now(ACME, str(bad.id), 0)
    assert await cell.indexing.index_now(ACME, str(good.id), 1) == 1
    with pytest.raises(Conflict):
        await cell.indexing.index_now(ACME, str(good.id), 7)
    with pytest.raises(NotFound):
        await cell.indexing.index_now(ACME, str(uuid.uuid4()), 0)


async def test_a_replacement_during_indexing_wins(cell: Cell, fault: Any) -> None:
    document = await cell.upload(ACME, FEES, external_id="x")
    fault("indexing.store.before=sleep:300")
    running = asyncio.create_task(cell.indexing.process(ACME, [document.id]))
    await asyncio.sleep(0.15)
    await cell.upload(ACME, CATS, external_id="x")
    await running
    fault("")
    assert (await cell.knowledge.get(ACME, str(document.id))).status == "uploaded"
    assert await cell.vectors.count(ACME) == 0
    await cell.indexing.process(ACME, [document.id])
    assert "purrs" in (await cell.search(ACME, "annual fee of the bronze card"))[0].text


async def test_who_works_keeps_its_documents_and_the_dead_lose_theirs(cell: Cell, fault: Any) -> None:
    long, dead = await cell.upload(ACME, FEES), await cell.upload(ACME, CATS)
    async with cell.database.tenant(ACME) as connection:
        await repository.claim(connection, [dead.id], 0.3, alone=True)
    cell.indexing.lease_seconds = 0.3
    fault("indexing.store.before=sleep:1000")
    running = asyncio.create_task(cell.indexing.process(ACME, [long.id]))
    await asyncio.sleep(0.8)
    assert not running.done()
    assert await cell.repair.sweep(ACME) == 1
    await running
    assert [row["id"] for row in await cell.sql(ACME, "select id from documents where status = 'uploaded'")] == [
        dead.id
    ]


async def test_without_milvus_words_still_find(cell: Cell) -> None:
    document = await cell.add(ACME, FEES)
    cell.milvus.kill()
    try:
        assert (await cell.search(ACME, "annual fee"))[0].document_id == str(document.id)
        with pytest.raises(Unavailable):
            await cell.search(ACME, "annual fee", "vector")
        waiting = await cell.upload(ACME, CATS)
        assert await cell.indexing.process(ACME, [waiting.id]) is not None
        state = await cell.knowledge.get(ACME, str(waiting.id))
        assert (state.status, "not available" in state.error) == ("uploaded", True)
    finally:
        cell.milvus.start()
    for _ in range(100):
        if await cell.indexing.process(ACME, [waiting.id]) is None:
            break
        await asyncio.sleep(0.1)
    assert (await cell.search(ACME, "annual fee", "vector"))[0].document_id == str(document.id)
    assert (await cell.knowledge.get(ACME, str(waiting.id))).status == "indexed"
