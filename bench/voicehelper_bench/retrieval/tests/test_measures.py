"""The benchmark measures what it says: gains, intervals, corpus, peers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from voicehelper_bench.retrieval import documents, peers, quality
from voicehelper_bench.retrieval.corpus import Maker
from voicehelper_cell.retrieval.terms import terms


def test_gain_counts_documents_once_and_only_ten() -> None:
    assert quality.gain(["a", "a", "b"], "b") == pytest.approx(1 / math.log2(3))
    assert quality.gain(["b"], "b") == 1
    assert quality.gain([str(n) for n in range(10)] + ["b"], "b") == 0


def test_intervals_hold_the_mean_and_repeat() -> None:
    values = np.random.default_rng(1).random(300)
    low, high = quality.interval(values)
    assert low < values.mean() < high
    assert quality.interval(values) == (low, high)


def test_a_corpus_is_like_real_ones() -> None:
    around = np.random.default_rng(2).standard_normal((20, 384)).astype(np.float32)
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    texts = ["the card fee of the card is due " * 3 + word for word in ("alpha", "beta", "gamma")]
    made = Maker(texts, around).corpus(200)
    again = Maker(texts, around).corpus(200)
    assert made.texts == again.texts
    assert np.linalg.norm(made.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    nearest = (made.vectors @ around.T).max(axis=1)
    assert 0.5 < nearest.mean() < 0.95
    for question in Maker(texts, around).questions(made, 20):
        assert 1 <= len(question.split()) <= 7


def test_peers_find_what_is_there() -> None:
    vectors = np.eye(5, 8, dtype=np.float32)
    assert peers.Numpy(vectors).search(vectors[3], 2)[0] == 3
    found = peers.Bm25s(["a red card", "the blue card", "green"]).search("blue", 2)
    assert found[0] == 1
    made = peers.index([terms("东京大学"), terms("北京大学")])
    assert peers.best(made, terms("北京"), 1) == [1]


def test_the_questions_are_about_the_documents() -> None:
    paragraphs, questions = documents.cmrc()
    assert (len(paragraphs), len(questions)) == (848, 3219)
    assert {question.gold for question in questions} <= {document.key for document in paragraphs}
    assert len(documents.banking()) == 698
