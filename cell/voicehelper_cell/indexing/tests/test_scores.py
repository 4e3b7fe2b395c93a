"""How well passages fit a question, on real stores."""

from __future__ import annotations

import math

import pytest
from voicehelper_cell.indexing.tests.conftest import ACME, GLOBEX, Cell
from voicehelper_cell.retrieval.bm25 import K1, B
from voicehelper_cell.retrieval.terms import terms


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
