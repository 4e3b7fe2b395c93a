"""``local-extractive``: quotes the sentences that answer a question best, or says that it does not know.

It generates no text of its own and needs no network. Evidence is judged by how many of the question's words (weighted
by their rarity among the passages) a sentence with its surroundings covers, by the passage's similarity to the
question, and by whether a sentence has a number, a time or a size where the question asks for one.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicehelper_core.gen.model.v1 import model_pb2

from voicehelper_cell.model_adapter.sentences import Sentence, sentences
from voicehelper_cell.model_adapter.words import content_words, expectation, question_words, share
from voicehelper_cell.rag.prompt import tokens

MODEL = "local-extractive"
UNKNOWN = "I do not know: the documents that I can see do not answer this."
MAX_QUOTES = 3
MAX_WORDS = 64
"""Of a question; the rest of an essay would only cost time."""
_NEAR_BEST = 0.7
_MIN_COVERAGE = 0.45
_SURE_COVERAGE = 0.85
_MIN_SIMILARITY = 0.05
_MIN_EVIDENCE = 1.03


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence, the passage it stands in, how much of the question it covers, and how well it answers."""

    passage: Any
    sentence: Sentence
    coverage: float
    evidence: float
    score: float


class LocalExtractive:
    """No state; the same request gives the same answer."""

    async def generate(self, request: Any) -> AsyncIterator[Any]:
        """Sentence by sentence: its text, then its quote; usage last."""
        question = next((item.content for item in reversed(request.messages) if item.role == "user"), "")
        chosen = choose(question, request.passages)
        answer = ""
        for number, item in enumerate(chosen):
            text = ("" if number == 0 else "\n\n") + f"{_shown(item)} [{item.passage.ref}]"
            answer += text
            yield model_pb2.GenerateChunk(delta=text)
            quote = model_pb2.Quote(ref=item.passage.ref, start=item.sentence.start, end=item.sentence.end)
            yield model_pb2.GenerateChunk(quote=quote)
        if not chosen:
            answer = UNKNOWN
            yield model_pb2.GenerateChunk(delta=answer)
        prompt = sum(tokens(item.content) for item in request.messages)
        prompt += sum(tokens(item.text) for item in request.passages)
        yield model_pb2.GenerateChunk(
            usage=model_pb2.Usage(
                model=MODEL,
                provider="built-in",
                prompt_tokens=prompt,
                completion_tokens=tokens(answer),
                cost_usd=0,
                answered=bool(chosen),
            )
        )


def choose(question: str, passages: Sequence[Any]) -> list[Evidence]:
    """The sentences to quote, best first; none when the evidence is weak."""
    wanted = question_words(question)[:MAX_WORDS]
    if not wanted or not passages:
        return []
    weights = _weights(wanted, passages)
    found = [item for passage in passages for item in _judged(passage, weights, expectation(question)) if _enough(item)]
    found.sort(key=lambda item: -item.score)
    different: dict[str, Evidence] = {}
    for item in found:
        if item.score >= _NEAR_BEST * found[0].score:
            different.setdefault(_shown(item), item)
    return list(different.values())[:MAX_QUOTES]


def _shown(item: Evidence) -> str:
    """The sentence on one line."""
    return " ".join(item.sentence.text.split())


def _weights(wanted: Sequence[str], passages: Sequence[Any]) -> dict[str, float]:
    """Rare words weigh more; a word that no passage has weighs most, since it is what the documents lack."""
    present = [content_words(f"{passage.title}\n{passage.text}") for passage in passages]
    counts = {word: sum(share({word: 1.0}, words) for words in present) for word in wanted}
    return {word: math.log(1 + (len(passages) + 1) / (counts[word] + 0.5)) for word in wanted}


def _judged(passage: Any, weights: Mapping[str, float], fitting: Callable[[str], float] | None) -> list[Evidence]:
    listed = sentences(passage.text)
    words = [content_words(sentence.text) for sentence in listed]
    title = content_words(passage.title)
    similarity = max(0.0, passage.vector_score)
    heading: frozenset[str] = frozenset()
    result = []
    for place, sentence in enumerate(listed):
        if sentence.heading:
            heading = words[place]
            continue
        direct = share(weights, words[place])
        if direct == 0:
            continue
        around = words[place].union(heading, title, *words[max(0, place - 1) : place + 2])
        coverage = share(weights, around)
        fits = fitting(sentence.text) if fitting else 0.0
        evidence = coverage + 0.8 * similarity + fits
        score = direct + 0.5 * coverage + 0.5 * similarity + 2 * fits
        result.append(Evidence(passage, sentence, coverage, evidence, score))
    return result


def _enough(item: Evidence) -> bool:
    """Without vectors (the store or the embedder is away) words alone have to do, nearly all of them."""
    similarity = item.passage.vector_score
    if similarity == 0:
        return item.coverage >= _SURE_COVERAGE
    return bool(similarity >= _MIN_SIMILARITY and item.coverage >= _MIN_COVERAGE and item.evidence >= _MIN_EVIDENCE)
