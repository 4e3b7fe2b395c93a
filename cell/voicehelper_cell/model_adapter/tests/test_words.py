"""Questions and sentences in the same words."""

from __future__ import annotations

import pytest
from voicehelper_cell.model_adapter.sentences import sentences
from voicehelper_cell.model_adapter.words import content_words, expectation, question_words, share


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("send", "It was sent again."), ("10000", "It has 10,000 rows."), ("suspension", "A suspended tenant."),
        ("rotate", "Keys are rotated."), ("keep", "They are kept."), ("policies", "The policy of it."),
    ],
)  # fmt: skip
def test_forms_of_a_word_meet(word: str, text: str) -> None:
    (wanted,) = question_words(word)
    assert share({wanted: 1.0}, content_words(text)) == 1


@pytest.mark.parametrize(
    ("word", "text"), [("transfer", "A translation."), ("cat", "A category."), ("10", "It is 100.")]
)
def test_different_words_do_not(word: str, text: str) -> None:
    (wanted,) = question_words(word)
    assert share({wanted: 1.0}, content_words(text)) == 0


def test_words_that_ask_are_not_looked_for() -> None:
    assert question_words("How often may a key be used within one day?") == ["key", "day"]
    assert question_words("What is this?") == []


@pytest.mark.parametrize(
    ("question", "fitting", "other"),
    [
        ("How large may a file be?", "At most 20 MiB.", "At most 20 files."),
        ("How long is it kept?", "For 90 days.", "For good reasons."),
        ("When does it expire?", "At midnight.", "In the list."),
        ("How high is it?", "It is twelve metres high.", "It is rather high."),
        ("How many cells are there?", "There are twelve large cells.", "A cell has 12 tenants."),
        ("How many cells are there?", "| cells | 12 |", "| cells | some |"),
        ("How much does it cost?", "It costs 5 dollars.", "It costs 5 minutes."),
    ],
)
def test_what_a_question_expects(question: str, fitting: str, other: str) -> None:
    judge = expectation(question)
    assert judge is not None
    assert judge(fitting) > 0 > judge(other)


@pytest.mark.parametrize("question", ["Which one is it?", "What happens when it expires?", "Why?", ""])
def test_other_questions_expect_nothing(question: str) -> None:
    assert expectation(question) is None


def test_sentences_are_exact_slices() -> None:
    text = "# Head\n\nOne is e.g. here. Two\ngoes on! Three?\n\n- item one\n- item two. More.\n\n"
    text += "| a | b |\n|---|---|\n\n中文一。中文二。"
    found = sentences(text)
    assert all(text[item.start : item.end] == item.text for item in found)
    assert [item.text for item in found if item.heading] == ["Head"]
    shown = [item.text for item in found]
    assert "Two\ngoes on!" in shown
    assert {"item one", "item two.", "More.", "中文一。", "中文二。"} <= set(shown)
    assert "|---|---|" not in shown
