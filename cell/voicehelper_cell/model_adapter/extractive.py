"""``local-extractive``: quotes the sentences that answer a question best, or says that it does not know.

It generates no text of its own and needs no network. Evidence is judged by how many of the question's terms (weighted
by their rarity among the passages) a sentence with its surroundings covers, and by the passage's similarity to the
question.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from voicehelper_core.gen.model.v1 import model_pb2

from voicehelper_cell.model_adapter.sentences import Sentence, sentences
from voicehelper_cell.rag.prompt import tokens
from voicehelper_cell.retrieval.terms import terms

MODEL = "local-extractive"
UNKNOWN = "I do not know: the documents that I can see do not answer this."
MAX_QUOTES = 3
_MIN_COVERAGE = 0.6
_MIN_SIMILARITY = 0.3
_SURE_COVERAGE = 0.85
_SURE_SIMILARITY = 0.62
_NEAR_BEST = 0.8
_HINTS = frozenset(terms("which way kind thing mean happen name use tell explain describe say please many much long"))


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence, the passage it stands in, and how well it answers."""

    passage: Any
    sentence: Sentence
    coverage: float
    score: float


class LocalExtractive:
    """No state; the same request gives the same answer."""

    async def generate(self, request: Any) -> AsyncIterator[Any]:
        """Sentence by sentence: its text, then its quote; usage last."""
        question = next((item.content for item in reversed(request.messages) if item.role == "user"), "")
        chosen = choose(question, request.passages)
        answer = ""
        for number, item in enumerate(chosen):
            text = ("" if number == 0 else "\n\n") + f"{item.sentence.text} [{item.passage.ref}]"
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
    wanted = list(dict.fromkeys(term for term in terms(question) if term not in _HINTS))
    if not wanted or not passages:
        return []
    weights = _weights(wanted, passages)
    found = [item for passage in passages for item in _judged(passage, wanted, weights)]
    found.sort(key=lambda item: -item.score)
    if not found or not _enough(found[0]):
        return []
    best = found[0].score
    good = [item for item in found if item.score >= _NEAR_BEST * best and _enough(item)]
    return good[:MAX_QUOTES]


def _weights(wanted: Sequence[str], passages: Sequence[Any]) -> dict[str, float]:
    """Rare terms weigh more; a term that no passage has weighs most, since it is what the documents lack."""
    present = Counter(term for passage in passages for term in set(terms(f"{passage.title}\n{passage.text}")))
    count = len(passages)
    return {term: math.log(1 + (count + 1) / (present[term] + 0.5)) for term in wanted}


def _judged(passage: Any, wanted: Sequence[str], weights: dict[str, float]) -> list[Evidence]:
    listed = sentences(passage.text)
    title = set(terms(passage.title))
    heading: set[str] = set()
    result = []
    for place, sentence in enumerate(listed):
        own = set(terms(sentence.text))
        if sentence.heading:
            heading = own
            continue
        before = set(terms(listed[place - 1].text)) if place else set()
        after = set(terms(listed[place + 1].text)) if place + 1 < len(listed) else set()
        direct = _share(wanted, weights, own)
        coverage = _share(wanted, weights, own | before | after | heading | title)
        if direct == 0:
            continue
        score = direct + 0.35 * coverage + 0.5 * max(0.0, passage.vector_score)
        result.append(Evidence(passage, sentence, coverage, score))
    return result


def _share(wanted: Sequence[str], weights: dict[str, float], present: set[str]) -> float:
    total = sum(weights[term] for term in wanted)
    return sum(weights[term] for term in wanted if term in present) / total


def _enough(item: Evidence) -> bool:
    similarity = item.passage.vector_score
    if item.coverage >= _SURE_COVERAGE:
        return bool(similarity >= _MIN_SIMILARITY or similarity == 0)
    return bool(item.coverage >= _MIN_COVERAGE and similarity >= _SURE_SIMILARITY)
