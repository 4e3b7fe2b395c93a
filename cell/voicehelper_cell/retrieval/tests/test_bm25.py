"""The best passages are those of a whole calculation, whichever postings were left unread."""

from __future__ import annotations

import math
import random
import uuid
from collections import Counter
from typing import Any

import pytest
from voicehelper_cell.database import Database
from voicehelper_cell.indexing import repository
from voicehelper_cell.indexing.chunking import Chunk
from voicehelper_cell.indexing.models import Indexed, Job, Passage
from voicehelper_cell.retrieval import bm25
from voicehelper_cell.retrieval.bm25 import K1, B, Term, nominating
from voicehelper_cell.tests.conftest import ACME, GLOBEX
from voicehelper_core.context import TenantContext

PASSAGES, WORDS = 700, 900
Bags = dict[str, Counter[str]]


async def fill(database: Database, who: TenantContext, seed: int) -> Bags:
    """Passages of words that are as unevenly spread as in a language, stored as indexing does it."""
    dice = random.Random(seed)
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    document = uuid.UUID(int=dice.getrandbits(128))
    passages = []
    for ordinal in range(PASSAGES):
        bag = Counter(f"w{n}" for n in dice.choices(range(WORDS), weights, k=dice.randint(5, 60)))
        passages.append(Passage(uuid.UUID(int=dice.getrandbits(128)), Chunk(ordinal, 0, 1, "x"), "x", bag))
    async with database.tenant(who) as connection:
        await connection.execute(
            "insert into documents (id, tenant_id, title, media_type, size_bytes, text, created_by)"
            " values ($1, $2, 't', 'text/plain', 1, 'x', 'u')",
            document,
            who.tenant_id,
        )
        job = Job(document, 1, "t", "x", 1)
        await repository.store(connection, who, [Indexed(job, passages, [[0.0]] * len(passages))])
    return {str(passage.id): passage.terms for passage in passages}


def reference(bags: Bags, words: list[str]) -> list[tuple[float, str]]:
    """Scores of all passages that have any of the words, best first."""
    average = sum(bag.total() for bag in bags.values()) / len(bags)
    scores: dict[str, float] = {}
    for word in words:
        n = sum(word in bag for bag in bags.values())
        idf = math.log(1 + (len(bags) - n + 0.5) / (n + 0.5))
        for key, bag in bags.items():
            if frequency := bag[word]:
                weight = frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * bag.total() / average))
                scores[key] = scores.get(key, 0) + idf * weight
    return sorted(((score, key) for key, score in scores.items()), key=lambda item: (-item[0], item[1]))


async def test_the_best_are_exact(knowledge: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    bags = await fill(knowledge, ACME, 1)
    await fill(knowledge, GLOBEX, 2)
    left_out: Counter[bool] = Counter()

    def watched(terms: Any, limit: int) -> int:
        split = nominating(terms, limit)
        left_out[split < len(terms)] += 1
        return split

    monkeypatch.setattr(bm25, "nominating", watched)
    dice = random.Random(3)
    for number in range(60):
        frequent = [f"w{dice.randrange(12)}" for _ in range(number % 4)]
        words = list(dict.fromkeys([*frequent, *(f"w{dice.randrange(WORDS)}" for _ in range(1 + number % 5)), "none"]))
        limit = dice.choice([1, 5, 20, 50])
        expected = reference(bags, words)
        async with knowledge.tenant(ACME) as connection:
            corpus = await bm25.corpus(connection, ACME.tenant_id, words)
            found = await bm25.best(connection, corpus, limit)
            some = dice.sample(sorted(bags), 20)
            scores = await bm25.of(connection, corpus, some)
        assert list(found.values()) == pytest.approx([score for score, _ in expected[:limit]])
        by_key = {key: score for score, key in expected}
        assert found == pytest.approx({key: by_key[key] for key in found})
        assert scores == pytest.approx({key: by_key[key] for key in some if key in by_key})
    assert min(left_out[True], left_out[False]) > 5, "both ways were taken"


async def test_nothing_is_found_without_words_or_passages(knowledge: Database) -> None:
    async with knowledge.tenant(ACME) as connection:
        for words in ([], ["w1"]):
            corpus = await bm25.corpus(connection, ACME.tenant_id, words)
            assert corpus.terms == []
            assert await bm25.best(connection, corpus, 10) == {}
            assert await bm25.of(connection, corpus, [str(uuid.uuid4())]) == {}


def test_what_is_frequent_nominates_only_where_it_can_matter() -> None:
    rare, middle, frequent = Term("r", 60, 5.0), Term("m", 400, 2.5), Term("f", 9000, 0.1)
    assert nominating([rare, frequent], 50) == 1
    assert nominating([rare, middle, frequent], 50) == 2
    assert nominating([middle, frequent], 50) == 1
    assert nominating([Term("r", 3, 5.0), frequent], 50) == 2, "too few passages have the rare word"
    assert nominating([frequent], 50) == 1
