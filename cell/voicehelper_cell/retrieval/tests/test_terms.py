"""Terms of passages and queries, and the fusion of rankings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_cell.retrieval.fusion import BEST, fuse, meaning_counts
from voicehelper_cell.retrieval.models import Query
from voicehelper_cell.retrieval.terms import MAX_TERM, frequencies, terms
from voicehelper_core.errors import InvalidArgument


def test_english_is_folded_stemmed_and_freed_of_stop_words() -> None:
    assert terms("The Customers' accounts were OPENED, and the customer opens an account.") == [
        "custom", "account", "open", "custom", "open", "account",
    ]  # fmt: skip


def test_identifiers_fall_apart() -> None:
    assert terms("open_bank_account_4821") == ["open", "bank", "account", "4821"]


def test_cjk_becomes_pairs() -> None:
    assert terms("东京大学 x 字") == ["东京", "京大", "大学", "x", "字"]


def test_words_of_other_scripts_are_kept() -> None:
    assert terms("Göteborg Привет ﬁne") == ["göteborg", "привет", "fine"]


def test_forms_of_a_word_meet() -> None:
    assert terms("disputing") == terms("disputes") == terms("dispute's")


@given(st.text())
def test_any_text_has_bounded_terms(text: str) -> None:
    assert all(0 < len(term) <= MAX_TERM for term in frequencies(text))


def test_fusion_prefers_what_both_found() -> None:
    fused = fuse([(1.0, ["a", "b", "c"]), (1.0, ["b", "d"])])
    assert [key for key, _ in fused] == ["b", "a", "d", "c"]
    assert fused[0][1] == pytest.approx(1 / 62 + 1 / 61)
    assert fuse([(1.0, ["a"]), (1.0, ["a"])])[0][1] == pytest.approx(BEST)


def test_what_has_no_weight_comes_last_in_its_own_order() -> None:
    fused = fuse([(2.0, ["a", "b"]), (0.0, ["z", "b", "y"])])
    assert [key for key, _ in fused] == ["a", "b", "z", "y"]
    assert fused[0][1] == pytest.approx(BEST)


def test_meaning_counts_where_the_model_can_read() -> None:
    for text in ("How do I close my account?", "Göteborg façade", "2018", "", "Kubernetes 集群 Envoy Milvus"):
        assert meaning_counts(terms(text)), text
    for text in ("东京大学在哪里", "Kubernetes 集群如何升级", "Как закрыть счёт?", "2018年的东京奥运会"):
        assert not meaning_counts(terms(text)), text


def test_queries_are_checked() -> None:
    assert Query.checked(" x ", "dense", 0) == Query("x", "vector", 10)
    assert Query.checked("x", "", 100).mode == "hybrid"
    for text, mode, top_k in (("", "bm25", 1), ("x", "graph", 1), ("x", "", 101), ("x", "", -1), ("x" * 9000, "", 1)):
        with pytest.raises(InvalidArgument):
            Query.checked(text, mode, top_k)
