"""The quicker search gives the library's own answers, whatever was written, replaced, deleted and flushed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from milvus_lite.db import MilvusLite
from milvus_lite.engine import collection
from milvus_lite.search.executor_indexed import execute_search_with_index
from voicehelper_embedded.milvus.search import install, searcher
from voicehelper_embedded.milvus.tests.histories import DIMENSION, histories, made, play

metrics = st.sampled_from(["IP", "L2", "COSINE"])


def both(table: Any, query: list[float], **options: Any) -> tuple[Any, Any]:
    """The library's answer, and that of the quicker search."""
    answers = []
    for search in (execute_search_with_index, searcher(execute_search_with_index)):
        collection.execute_search_with_index = search
        try:
            answers.append(table.search([query], anns_field="embedding", **options))
        finally:
            collection.execute_search_with_index = execute_search_with_index
    return answers[0], answers[1]


def same(expected: Any, found: Any) -> None:
    assert [hit["entity"] for hits in found for hit in hits] == [hit["entity"] for hits in expected for hit in hits]
    assert [hit["id"] for hits in found for hit in hits] == [hit["id"] for hits in expected for hit in hits]
    for hits, wanted in zip(found, expected, strict=True):
        assert [hit["distance"] for hit in hits] == pytest.approx([hit["distance"] for hit in wanted], abs=1e-5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=histories,
    metric=metrics,
    k=st.integers(1, 30),
    partitions=st.sampled_from([None, ["a"], ["b"], ["a", "b"]]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_history_is_searched_alike(
    database: MilvusLite, steps: list[Any], metric: str, k: int, partitions: list[str] | None, seed: int
) -> None:
    table, random = made(database, metric), np.random.default_rng(seed)
    play(table, steps, random)
    query = random.standard_normal(DIMENSION).tolist()
    for fields in (["name"], None, ["name", "embedding"], []):
        same(*both(table, query, top_k=k, partition_names=partitions, output_fields=fields))


def test_deleted_neighbours_make_room(database: MilvusLite) -> None:
    """More near rows are gone than are asked for: those behind them are found."""
    table = made(database, "L2")
    rows = [{"id": n, "name": str(n), "embedding": [float(n)] + [0.0] * 7} for n in range(500)]
    table.insert(rows, partition_name="a")
    table.flush()
    table.delete(list(range(300)), partition_name="a")
    expected, found = both(table, [0.0] * 8, top_k=5, partition_names=["a"], output_fields=["name"])
    same(expected, found)
    assert [hit["id"] for hit in found[0]] == [300, 301, 302, 303, 304]


def test_filters_and_other_indexes_go_on_working(database: MilvusLite) -> None:
    table = made(database, "IP", "HNSW")
    random = np.random.default_rng(7)
    rows = [{"id": n, "name": str(n % 3), "embedding": v.tolist()} for n, v in enumerate(random.random((400, 8)))]
    table.insert(rows, partition_name="b")
    table.flush()
    table._wait_for_bg()
    query = random.random(8).tolist()
    same(*both(table, query, top_k=20, partition_names=["b"], output_fields=["name"]))
    same(*both(table, query, top_k=20, partition_names=["b"], output_fields=["name"], expr='name == "1"'))


def test_it_is_put_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "execute_search_with_index", execute_search_with_index)
    install()
    assert collection.execute_search_with_index is not execute_search_with_index
    with pytest.raises(ImportError):
        install()
