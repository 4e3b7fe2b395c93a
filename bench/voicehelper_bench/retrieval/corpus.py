"""Passages without the price of embedding each: real words as often as in a real corpus, vectors around real ones.

Words are drawn from the banking documents' own distribution (which is Zipf's), and every passage has some rare ones,
since vocabularies grow with their corpus; so postings are as long as they are in practice. A vector is that of a real
passage moved at random and made unit length again, so that neighbours are as near as real ones. All is repeatable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from voicehelper_cell.retrieval.terms import STOP_WORDS

Floats = npt.NDArray[np.float32]
WORDS_IN_PASSAGE = (60, 140)
RARE_IN_PASSAGE, RARE_WORDS = 3, 200_000
NOISE = 0.8  # length of the random part beside a real vector of length 1: cosine about 0.78 to it
_WORD = re.compile(r"[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True)
class Corpus:
    """``texts`` of passages and their ``vectors`` (n, dim) of length 1."""

    texts: list[str]
    vectors: Floats


class Maker:
    """Makes passages and questions about them from real texts and their vectors."""

    def __init__(self, texts: Sequence[str], vectors: Floats, seed: int = 4) -> None:
        counts = Counter(word.lower() for text in texts for word in _WORD.findall(text))
        self._words = np.array(list(counts))
        weights = np.array(list(counts.values()), dtype=np.float64)
        self._chances = weights / weights.sum()
        self._around, self._random = vectors, np.random.default_rng(seed)
        ranks = 1 / np.arange(1, RARE_WORDS + 1)
        self._rare_chances = ranks / ranks.sum()

    def corpus(self, size: int) -> Corpus:
        """``size`` passages."""
        texts = list(self._texts(size))
        centres = self._around[self._random.integers(len(self._around), size=size)]
        noise = self._random.standard_normal(centres.shape).astype(np.float32)
        vectors = centres + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Corpus(texts, vectors.astype(np.float32))

    def questions(self, corpus: Corpus, count: int) -> list[str]:
        """Three to seven different words of one passage each, so frequent words are asked for frequently."""
        result = []
        for place in self._random.integers(len(corpus.texts), size=count):
            words = [word for word in dict.fromkeys(corpus.texts[place].split()) if word not in STOP_WORDS]
            wanted = min(len(words), int(self._random.integers(3, 8)))
            result.append(" ".join(self._random.choice(words, size=wanted, replace=False)))
        return result

    def _texts(self, size: int) -> Iterator[str]:
        # All at once: each draw with chances begins by adding these up.
        lengths = self._random.integers(*WORDS_IN_PASSAGE, size=size)
        drawn = self._random.choice(self._words, size=lengths.sum(), p=self._chances)
        words = np.split(drawn, np.cumsum(lengths)[:-1])
        rare = self._random.choice(RARE_WORDS, size=(size, RARE_IN_PASSAGE), p=self._rare_chances)
        for own, few in zip(words, rare, strict=True):
            yield " ".join([*own, *(f"ref{number}" for number in few)])
