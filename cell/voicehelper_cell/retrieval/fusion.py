"""Weighted reciprocal rank fusion, and how much the meaning of a query counts in it.

Rank fusion trusts its rankings alike, so that one which guesses drags the other down. The embedding model knows one
script; what is written in another one becomes single characters to it, and its ranking is close to a guess. Such a
query is ranked by its words, and what only the vectors found comes after them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

K = 60
BEST = 2 / (K + 1)
"""Score of what is first in both rankings."""
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[a-zß-öø-ɏḁ-ỿ]")  # of folded terms


def fuse(rankings: Iterable[tuple[float, Sequence[str]]], k: int = K) -> list[tuple[str, float]]:
    """Ids with their sum of ``weight / (k + rank)``, best first.

    Equal scores (those of a ranking without weight, too) keep the order of the rankings.
    """
    scores: dict[str, float] = {}
    for weight, ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda item: -item[1])


def meaning_counts(terms: Sequence[str]) -> bool:
    """Whether the embedding model (all-MiniLM-L6-v2: English) can read at least half of a query's words.

    ``terms`` are those of BM25; numbers say nothing about the script. A query without words is left to the model.
    """
    words = [term for term in terms if _LETTER.search(term)]
    return 2 * sum(1 for word in words if _LATIN.search(word)) >= len(words)
