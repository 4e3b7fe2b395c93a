"""Passages are exact slices of the text, in order, and nothing but white space lies outside of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_cell.indexing.chunking import TARGET_TOKENS, chunks, estimate

texts = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(
            ["\n\n", "\n", "# Heading\n", ". ", "word " * 60, "漢字かな交じり文。" * 30, "x" * 900, "🙂", "\u00a0"]
        ),
    ),
    max_size=20,
).map("".join)


@given(texts, st.integers(10, 200))
@settings(max_examples=150, deadline=None)
def test_passages_are_disjoint_slices_that_cover_all_words(text: str, target: int) -> None:
    position = 0
    for number, chunk in enumerate(chunks(text, target)):
        assert chunk.ordinal == number
        assert chunk.start < chunk.end
        assert text[chunk.start : chunk.end] == chunk.text
        assert text[position : chunk.start].strip() == ""
        assert chunk.text == chunk.text.strip()
        position = chunk.end
    assert text[position:].strip() == ""


@given(texts, st.integers(10, 200))
@settings(max_examples=100, deadline=None)
def test_no_passage_is_larger_than_the_target(text: str, target: int) -> None:
    for chunk in chunks(text, target):
        assert estimate(chunk.text) <= target


def test_headings_begin_passages() -> None:
    text = "# One\n\n" + "alpha beta. " * 40 + "\n\n# Two\n\n" + "gamma delta. " * 20
    found = chunks(text)
    assert [chunk.text.split("\n")[0] for chunk in found if chunk.text.startswith("#")] == ["# One", "# Two"]


def test_small_sections_stay_together() -> None:
    assert len(chunks("# A\n\none\n\n# B\n\ntwo\n\n# C\n\nthree")) == 1


def test_sentences_stay_whole_where_they_fit() -> None:
    sentence = "The quick brown fox jumps over the lazy dog near the river bank."
    found = chunks(" ".join([sentence] * 40))
    assert len(found) > 1
    assert all(chunk.text.endswith(".") and chunk.text.startswith("The") for chunk in found)


@pytest.mark.parametrize("text", ["", " \n\n\t ", "\u2003"])
def test_nothing_makes_no_passages(text: str) -> None:
    assert chunks(text) == []


def test_offsets_count_code_points() -> None:
    text = "🙂🙂 first\n\n" + "word " * 200 + "\n\nlast 🙂"
    last = chunks(text)[-1]
    assert text[last.start : last.end] == last.text
    assert last.text.endswith("🙂")
    assert TARGET_TOKENS < 256
