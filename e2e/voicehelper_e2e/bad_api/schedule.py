"""Which request meets which fault: drawn from a seed, so that a run can be played again."""

from __future__ import annotations

import random
from collections import Counter
from typing import Literal

Fault = Literal[
    "too-many", "internal", "unavailable", "not-json", "hang", "cut-before", "cut-after",
    "in-line", "in-line-politely", "short", "gone",
]  # fmt: skip
REQUESTS: tuple[Fault, ...] = (
    "too-many", "internal", "unavailable", "not-json", "hang", "cut-before", "cut-after", "cut-after",
)  # fmt: skip
"""``cut-after``: the write has happened, and its answer is lost."""
WATCHES: tuple[Fault, ...] = (
    "too-many", "unavailable", "not-json", "cut-before", "in-line", "in-line-politely", "short", "gone",
)  # fmt: skip
"""``in-line``: the connection is cut in the middle of a line, or the answer ends there as if it were complete."""


class Schedule:
    """``share`` of all requests fail, and nearly all watches, since there are few. No fault comes a second time before
    all others have come.
    """

    def __init__(self, seed: int, share: float) -> None:
        self._random, self.share = random.Random(seed), share
        self._bags: dict[bool, list[Fault]] = {False: [], True: []}
        self.done: Counter[str] = Counter()

    def draw(self, *, watch: bool) -> Fault | None:
        """None where nothing is spoilt."""
        if self._random.random() >= min(self.share * (6 if watch else 1), 0.95):
            return None
        bag = self._bags[watch]
        if not bag:
            bag += WATCHES if watch else REQUESTS
            self._random.shuffle(bag)
        fault = bag.pop()
        self.done[fault] += 1
        return fault

    def lines(self) -> int:
        """After how many lines a watch ends."""
        return self._random.choice((0, 1, 2, 5, 10))
