"""What ``local-extractive`` quotes, and when it says that it does not know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_cell.model_adapter.extractive import MAX_QUOTES, UNKNOWN, LocalExtractive
from voicehelper_core.gen.model.v1 import model_pb2

FEES = """# Fees

The bronze card has an annual fee of 25 dollars. The gold card
is free in the first year.

## Limits

- You may withdraw 400 dollars a day.
- A lost card can be blocked at any hour by telephone."""


async def ask(question: str, *passages: tuple[str, float]) -> tuple[str, list[str], Any]:
    """Text, quoted spans and usage."""
    request = model_pb2.GenerateRequest(
        messages=[
            model_pb2.ChatMessage(role="system", content="Answer."),
            model_pb2.ChatMessage(role="user", content=question),
        ],
        passages=[
            model_pb2.Passage(ref=str(number), title="Prices", text=text, vector_score=score)
            for number, (text, score) in enumerate(passages, 1)
        ],
    )
    text, quotes, usage = "", [], None
    async for chunk in LocalExtractive().generate(request):
        assert usage is None  # it is the last
        text += chunk.delta
        if chunk.WhichOneof("part") == "quote":
            quoted = request.passages[int(chunk.quote.ref) - 1].text[chunk.quote.start : chunk.quote.end]
            assert f"{' '.join(quoted.split())} [{chunk.quote.ref}]" in text
            quotes.append(quoted)
        if chunk.WhichOneof("part") == "usage":
            usage = chunk.usage
    return text, quotes, usage


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("What is the annual fee of the bronze card?", "annual fee of 25 dollars"),
        ("Is the gold card free?", "The gold card\nis free in the first year."),
        ("How much may I withdraw in a day?", "You may withdraw 400 dollars a day."),
        ("When can a lost card be blocked?", "A lost card can be blocked at any hour"),
    ],
)
async def test_it_quotes_the_sentence(question: str, span: str) -> None:
    text, quotes, usage = await ask(question, (FEES, 0.55), ("Cats sleep for fifteen hours a day.", 0.05))
    assert span in quotes[0]
    assert "\n" not in text.split("\n\n")[0]
    assert (usage.answered, usage.model, usage.provider, usage.cost_usd) == (True, "local-extractive", "built-in", 0)
    assert usage.prompt_tokens > 50
    assert usage.completion_tokens > 5


@pytest.mark.parametrize(
    "question",
    ["Who invented the gold card?", "What is the capital of Australia?", "Hello", "?", "", "the of and", "不知道"],
)
async def test_it_does_not_know(question: str) -> None:
    text, quotes, usage = await ask(question, (FEES, 0.35))
    assert (text, quotes, usage.answered) == (UNKNOWN, [], False)


async def test_without_passages_it_does_not_know() -> None:
    assert (await ask("What is the annual fee?"))[0] == UNKNOWN


async def test_words_without_meaning_are_not_enough() -> None:
    assert (await ask("What is the annual fee of the bronze card?", (FEES, 0.01)))[0] == UNKNOWN


async def test_without_vectors_words_have_to_do() -> None:
    assert (await ask("What is the annual fee of the bronze card?", (FEES, 0.0)))[1] != []
    assert (await ask("What is the annual fee of the platinum card?", (FEES, 0.0)))[0] == UNKNOWN


async def test_the_same_sentence_is_quoted_once() -> None:
    _, quotes, _ = await ask("What is the annual fee of the bronze card?", (FEES, 0.6), (FEES, 0.6), (FEES, 0.6))
    assert len(quotes) == len(set(quotes)) <= MAX_QUOTES


async def test_an_essay_is_no_burden() -> None:
    essay = " ".join(f"word{number}" for number in range(5000))
    assert (await ask(essay, *[(FEES, 0.5)] * 8))[0] == UNKNOWN


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=300), question=st.text(max_size=60), score=st.floats(-1, 1))
async def test_quotes_are_verbatim_whatever_comes(text: str, question: str, score: float) -> None:
    _, quotes, usage = await ask(question, (text, score))
    assert all(quote in text for quote in quotes)
    assert usage.answered == bool(quotes)
