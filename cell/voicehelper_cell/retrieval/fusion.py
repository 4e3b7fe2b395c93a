"""Reciprocal rank fusion of two rankings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

K = 60
BEST = 2 / (K + 1)
"""Score of what is first in both rankings."""


def fuse(rankings: Iterable[Sequence[str]], k: int = K) -> list[tuple[str, float]]:
    """Ids with their sum of ``1 / (k + rank)``, best first; equal scores by id, so that answers are stable."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1 / (k + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
