"""Several processes of indexing: one has a document at a time, and the checks leave alone what others work on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from voicehelper_cell.indexing import events, repository
from voicehelper_cell.indexing.models import MAX_FAILURES
from voicehelper_cell.indexing.queue import IndexingQueue
from voicehelper_cell.indexing.repair import Repair
from voicehelper_cell.indexing.service import IndexingService
from voicehelper_cell.indexing.tests.conftest import ACME, Cell
from voicehelper_cell.knowledge.models import Document

pytestmark = pytest.mark.integration
TEXT = "# Tools\n\nA quillon is oiled every 45 days.\n\n## Care\n\nIt is kept dry."


def replica(cell: Cell) -> IndexingService:
    """Another process, which is not alone."""
    return IndexingService(cell.database, cell.vectors, cell.indexing._inference, alone=False)


async def claim(cell: Cell, document: Document, *, alone: bool = False) -> list[Any]:
    async with cell.database.tenant(ACME) as connection:
        return await repository.claim(connection, [document.id], 30, alone=alone)


async def test_of_many_one_has_the_document(cell: Cell) -> None:
    document = await cell.upload(ACME, TEXT)
    counts = sorted(len(jobs) for jobs in await asyncio.gather(*(claim(cell, document) for _ in range(5))))
    assert counts == [0, 0, 0, 0, 1]
    assert len(await claim(cell, document, alone=True)) == 1, (
        "a process that is alone knows that the lease is a dead one's"
    )


async def test_a_lease_that_ended_is_taken_over(cell: Cell) -> None:
    document = await cell.upload(ACME, TEXT)
    assert await claim(cell, document)
    await cell.sql(ACME, "update documents set retry_at = now() - interval '1 second'")
    assert [job.attempts for job in await claim(cell, document)] == [2]


async def test_the_last_attempt_of_another_process_is_not_failed_under_its_hands(cell: Cell) -> None:
    document = await cell.upload(ACME, TEXT)
    await cell.sql(ACME, "update documents set attempts = $1 - 1, retry_at = now()", MAX_FAILURES)
    assert await claim(cell, document)
    assert await claim(cell, document) == []
    assert (await cell.knowledge.get(ACME, str(document.id))).status == "uploaded"


async def test_two_at_once_index_once(cell: Cell) -> None:
    documents = [await cell.upload(ACME, f"{TEXT} Number {number}.") for number in range(6)]
    ids = [document.id for document in documents]
    await asyncio.gather(*(replica(cell).process(ACME, ids) for _ in range(3)))
    rows = await cell.sql(ACME, "select status, attempts from documents")
    assert [(row["status"], row["attempts"]) for row in rows] == [("indexed", 1)] * 6
    assert {times for _, times in (await cell.vectors.chunks(ACME)).values()} == {1}


async def test_a_check_does_not_take_vectors_that_another_process_has_just_written(cell: Cell) -> None:
    """The other one has written vectors and not yet its transaction."""
    document = await cell.upload(ACME, TEXT)
    other = replica(cell)
    stopped, go = asyncio.Event(), asyncio.Event()
    insert = other._insert

    async def slow(*arguments: Any) -> None:
        await insert(*arguments)
        stopped.set()
        await go.wait()

    other._insert = slow  # type: ignore[method-assign]
    working = asyncio.create_task(other.process(ACME, [document.id]))
    await asyncio.wait_for(stopped.wait(), 60)
    mine = replica(cell)
    repair = Repair(cell.database, cell.vectors, mine, IndexingQueue(mine), cell.objects)
    assert await repair.vectors(ACME) == (0, 0)
    go.set()
    await working
    assert await repair.vectors(ACME) == (0, 0)
    assert await cell.search(ACME, "quillon", mode="vector")


async def test_only_who_leads_checks_vectors_and_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Looks:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def __getattr__(self, name: str) -> Any:
            async def look(_: Any) -> None:
                self.seen.append(name)

            return look

    monkeypatch.setattr(events, "SWEEP_SECONDS", 0.01)
    looks, leads = Looks(), False
    task = asyncio.create_task(events._check(looks, lambda: [ACME], lambda: leads))  # type: ignore[arg-type]
    await asyncio.sleep(0.1)
    assert set(looks.seen) == {"sweep"}
    leads = True
    await asyncio.sleep(0.1)
    assert looks.seen.count("vectors") == looks.seen.count("originals") == 1
    task.cancel()
