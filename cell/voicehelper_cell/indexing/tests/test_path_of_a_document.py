"""A document from its upload to its deletion, on real stores."""

from __future__ import annotations

import asyncio
import math
import uuid
from typing import Any

import pytest
from voicehelper_cell.indexing import repository
from voicehelper_cell.indexing.events import DocumentEvents, background
from voicehelper_cell.indexing.tests.conftest import ACME, CELL, GLOBEX, Cell, collection
from voicehelper_cell.retrieval.bm25 import K1, B
from voicehelper_cell.retrieval.terms import terms
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import (
    Conflict,
    InvalidArgument,
    NotFound,
    QuotaExceeded,
    TooLarge,
    Unavailable,
    Unprocessable,
)
from voicehelper_core.events import Envelope
from voicehelper_core.faults import FaultError

FEES = "# Fees\n\nThe annual fee of the bronze card is 25 dollars.\n\n# Limits\n\nYou may withdraw 400 dollars a day."
CATS = "# Cats\n\nA cat sleeps for fifteen hours a day and purrs while it does."


async def outbox(cell: Cell) -> list[Envelope]:
    import asyncpg

    connection = await asyncpg.connect(cell.dsn)
    try:
        rows = await connection.fetch(f"select topic, payload from {CELL}_knowledge.outbox order by created_at")
    finally:
        await connection.close()
    assert {row["topic"] for row in rows} <= {f"{CELL}.document.events"}
    return [Envelope.parse(row["payload"]) for row in rows]


async def totals_written(cell: Cell) -> set[tuple[str, int]]:
    """Which transaction wrote the totals of which tenant."""
    import asyncpg

    connection = await asyncpg.connect(cell.dsn)
    try:
        return {tuple(row) for row in await connection.fetch(f"select tenant_id, xmin from {CELL}_knowledge.totals")}
    finally:
        await connection.close()


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


async def test_words_alone_also_have_a_vector_score(cell: Cell) -> None:
    for number in range(60):
        await cell.upload(ACME, f"The cat number {number} sleeps on the warm roof.", title=f"Cat {number}")
    odd = await cell.upload(ACME, "zyxwv payroll ledger", title="Odd")
    ids = [row["id"] for row in await cell.sql(ACME, "select id from documents")]
    await cell.indexing.process(ACME, ids)
    hits = await cell.search(ACME, "zyxwv sleeping cat", top_k=60)
    found = next(hit for hit in hits if hit.document_id == str(odd.id))
    assert found.bm25_score > 0
    assert found.vector_score != 0


async def test_bm25_in_sql_equals_a_small_reference(cell: Cell) -> None:
    texts = {
        "a": "fee fee card", "b": "card limits and daily limits", "c": "nothing to see here at all today",
        "d": "fee", "e": "card fee limits card",
    }  # fmt: skip
    for name, text in texts.items():
        await cell.add(ACME, text, title=name, external_id=name)
    await cell.add(GLOBEX, "card card card fee", title="other")
    found = {hit.external_id: hit.score for hit in await cell.search(ACME, "card fee fee", "bm25")}

    bags = {name: terms(f"{name}\n{text}") for name, text in texts.items()}
    average = sum(map(len, bags.values())) / len(bags)
    expected: dict[str, float] = {}
    for word in ("card", "fee"):
        n = sum(word in bag for bag in bags.values())
        idf = math.log(1 + (len(bags) - n + 0.5) / (n + 0.5))
        for name, bag in bags.items():
            if frequency := bag.count(word):
                weight = frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * len(bag) / average))
                expected[name] = expected.get(name, 0) + idf * weight
    assert found == pytest.approx(expected)


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


async def test_uploads_of_one_external_id_at_once(cell: Cell) -> None:
    uploaded = await asyncio.gather(*(cell.upload(ACME, f"text {n}", external_id="same") for n in range(8)))
    assert len({document.id for document in uploaded}) == 1
    rows = await cell.sql(ACME, "select revision from documents")
    assert [row["revision"] for row in rows] == [8]
    assert (await cell.sql(ACME, "select documents from totals"))[0]["documents"] == 1


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


async def test_an_idempotency_key_answers_once(cell: Cell) -> None:
    first = await cell.upload(ACME, FEES, idempotency_key="k")
    again = await cell.upload(ACME, FEES, idempotency_key="k")
    assert again.id == first.id
    with pytest.raises(Unprocessable):
        await cell.upload(ACME, CATS, idempotency_key="k")
    other = TenantContext(ACME.tenant_id, ACME.tenant, "user-9", CELL)
    assert (await cell.upload(other, CATS, idempotency_key="k")).id != first.id
    await cell.sql(ACME, "update idempotency set created_at = now() - interval '25 hours' returning key")
    assert (await cell.upload(ACME, CATS, idempotency_key="k")).id != first.id
    at_once = await asyncio.gather(*(cell.upload(ACME, "text", idempotency_key="z") for _ in range(5)))
    assert len({document.id for document in at_once}) == 1


async def test_quotas(cell: Cell) -> None:
    cell.limits.update(documents=2, storage_bytes=100)
    first = await cell.upload(ACME, "x" * 40, external_id="a")
    await cell.upload(ACME, "x" * 40, external_id="b")
    with pytest.raises(QuotaExceeded, match="2 documents"):
        await cell.upload(ACME, "x")
    with pytest.raises(QuotaExceeded, match="100 bytes"):
        await cell.upload(ACME, "x" * 61, external_id="a")
    await cell.upload(ACME, "x" * 60, external_id="a")
    await cell.upload(GLOBEX, "x" * 90)
    await cell.knowledge.delete(ACME, str(first.id))
    await cell.upload(ACME, "x")
    with pytest.raises(TooLarge):
        await cell.upload(ACME, "x" * 100_001)


async def test_lists_have_cursors(cell: Cell) -> None:
    wanted = [(await cell.upload(ACME, f"text {n}", external_id=f"d{n}")).id for n in range(5)]
    found, cursor = [], ""
    while True:
        page, cursor = await cell.knowledge.list(ACME, limit=2, cursor=cursor, external_id="")
        found += [document.id for document in page]
        if not cursor:
            break
    assert found == wanted[::-1]
    only, _ = await cell.knowledge.list(ACME, limit=0, cursor="", external_id="d3")
    assert [document.id for document in only] == [wanted[3]]
    for bad in ("x", "AAAA", "é", "../.."):
        with pytest.raises(InvalidArgument):
            await cell.knowledge.list(ACME, limit=1, cursor=bad, external_id="")
    with pytest.raises(InvalidArgument):
        await cell.knowledge.list(ACME, limit=101, cursor="", external_id="")


@pytest.mark.parametrize("value", ["", "x", "../x", "' or 1=1 --", "00000000-0000-0000-0000-000000000000"])
async def test_ids_of_nothing(cell: Cell, value: str) -> None:
    with pytest.raises(NotFound):
        await cell.knowledge.get(ACME, value)


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
