"""A document from its upload to its deletion, on real stores."""

from __future__ import annotations

import asyncio

import pytest
from voicehelper_cell.indexing.events import DocumentEvents, background
from voicehelper_cell.indexing.tests.conftest import ACME, CELL, GLOBEX, Cell
from voicehelper_cell.indexing.tests.documents import CATS, FEES
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import NotFound
from voicehelper_core.events import Envelope


async def outbox(cell: Cell) -> list[Envelope]:
    import asyncpg

    connection = await asyncpg.connect(cell.dsn)
    try:
        rows = await connection.fetch(f"select topic, payload from {CELL}_knowledge.outbox order by created_at")
    finally:
        await connection.close()
    assert {row["topic"] for row in rows} <= {f"{CELL}.document.events"}
    return [Envelope.parse(row["payload"]) for row in rows]


async def test_a_document_is_found_at_its_place(cell: Cell) -> None:
    document = await cell.add(ACME, FEES, title="Prices")
    await cell.add(ACME, CATS)
    assert (document.status, document.chunk_count) == ("indexed", 1)
    _, text = await cell.knowledge.content(ACME, str(document.id))
    for mode in ("hybrid", "vector", "dense", "bm25"):
        hit = (await cell.search(ACME, "How much is the yearly fee of the bronze card?", mode))[0]
        assert hit.document_id == str(document.id)
        assert text[hit.start : hit.end] == hit.text
        assert (hit.title, hit.score > 0) == ("Prices", True)
    assert (await cell.search(ACME, "bronze fee"))[0].vector_score > 0.3
    assert [event.event_type for event in await outbox(cell)] == ["document.uploaded", "document.indexed"] * 2


async def test_the_same_external_id_replaces(cell: Cell) -> None:
    first = await cell.add(ACME, FEES, external_id="doc-1")
    second = await cell.upload(ACME, CATS, external_id="doc-1")
    assert (second.id, second.revision, second.status) == (first.id, 2, "uploaded")
    assert await cell.search(ACME, "annual fee of the bronze card") == []
    await cell.indexing.process(ACME, [second.id])
    hits = await cell.search(ACME, "how long do cats sleep")
    assert [hit.document_id for hit in hits] == [str(first.id)]
    assert "purrs" in hits[0].text
    assert await cell.vectors.count(ACME) == 1
    assert await cell.objects.get(ACME, first.id, 2) == CATS.encode()


async def test_deleted_is_never_found_again(cell: Cell) -> None:
    document = await cell.add(ACME, FEES)
    await cell.knowledge.delete(ACME, str(document.id))
    assert await cell.vectors.count(ACME) == 1  # the event has not come yet, and no search may show it
    for mode in ("hybrid", "vector", "bm25"):
        assert await cell.search(ACME, "annual fee of the bronze card", mode) == []
    with pytest.raises(NotFound):
        await cell.knowledge.content(ACME, str(document.id))
    with pytest.raises(NotFound):
        await cell.knowledge.delete(ACME, str(document.id))
    totals = (await cell.sql(ACME, "select documents, size_bytes, chunks, terms from totals"))[0]
    assert list(totals.values()) == [0, 0, 0, 0]
    for table in ("chunks", "chunk_terms", "chunk_vectors"):
        assert await cell.sql(ACME, f"select 1 from {table}") == []
    assert (await outbox(cell))[-1].event_type == "document.deleted"


async def test_tenants_of_a_cell_do_not_meet(cell: Cell) -> None:
    mine = await cell.add(ACME, FEES, external_id="x")
    theirs = await cell.add(GLOBEX, CATS, external_id="x")
    assert mine.id != theirs.id
    for mode in ("hybrid", "vector", "bm25"):
        hits = await cell.search(GLOBEX, "annual fee of the bronze card, cats", mode)
        assert {hit.document_id for hit in hits} == {str(theirs.id)}
    for call in (cell.knowledge.get, cell.knowledge.content, cell.knowledge.delete):
        with pytest.raises(NotFound):
            await call(GLOBEX, str(mine.id))
    with pytest.raises(NotFound):
        await cell.indexing.index_now(GLOBEX, str(mine.id), 0)
    await cell.vectors.delete_documents(GLOBEX, [str(mine.id)])
    assert await cell.vectors.count(ACME) == 1
    assert [
        document.id for document in (await cell.knowledge.list(GLOBEX, limit=10, cursor="", external_id=""))[0]
    ] == [theirs.id]
    stranger = TenantContext("tstranger001", "stranger", "user-3", CELL)
    assert await cell.search(stranger, "annual fee of the bronze card") == []
    with pytest.raises(PermissionError):
        await cell.search(TenantContext("tacme0000001", "acme", "user-1", "cother000001"), "fee", "vector")


async def test_the_queue_and_the_sweep_index_what_waits(cell: Cell) -> None:
    running = asyncio.create_task(cell.queue.run())
    documents = [await cell.upload(who, f"Text number {n}") for n in range(12) for who in (ACME, GLOBEX)]
    assert await cell.repair.sweep(ACME) == 0  # the event still has time
    for who, due in ((ACME, "0 seconds"), (GLOBEX, "1 hour")):  # it is time, or the clock was set back
        await cell.sql(who, f"update documents set retry_at = now() + interval '{due}' returning id")
        assert await cell.repair.sweep(who) == 12
    for _ in range(300):
        if {row["status"] for who in (ACME, GLOBEX) for row in await cell.sql(who, "select status from documents")} == {
            "indexed"
        }:
            break
        await asyncio.sleep(0.05)
    running.cancel()
    assert await cell.vectors.count(ACME) == await cell.vectors.count(GLOBEX) == len(documents) / 2


async def test_events_index_and_clean_up(cell: Cell) -> None:
    events = DocumentEvents(cell.queue, cell.vectors, cell.objects)
    running = asyncio.create_task(background(cell.queue, cell.repair, lambda: [ACME, GLOBEX]))
    document = await cell.upload(ACME, FEES, external_id="x")
    await cell.upload(ACME, CATS, external_id="x")
    for event in await outbox(cell):
        await events.handle(ACME, event)
        await events.handle(ACME, event)
    for _ in range(200):
        if (await cell.knowledge.get(ACME, str(document.id))).status == "indexed":
            break
        await asyncio.sleep(0.05)
    assert await cell.vectors.count(ACME) == 1
    assert await cell.objects.get(ACME, document.id, 1) is None
    assert await cell.objects.get(ACME, document.id, 2) == CATS.encode()
    await cell.knowledge.delete(ACME, str(document.id))
    for event in await outbox(cell):
        await events.handle(ACME, event)
    assert await cell.objects.get(ACME, document.id, 2) is None
    assert await cell.vectors.count(ACME) == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
