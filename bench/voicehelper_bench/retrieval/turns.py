"""Calls that take turns at every question, so that a busy moment weighs on all alike."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

Q = TypeVar("Q")


async def turns(calls: Mapping[str, Callable[[Q], Awaitable[Any]]], questions: Sequence[Q]) -> dict[str, list[float]]:
    """Milliseconds of each call for each question; forwards, then backwards. The first tenth is asked twice."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    warm = max(len(questions) // 10, 1)
    for number, question in enumerate([*questions[:warm], *questions]):
        for name in calls if number % 2 else reversed(list(calls)):
            started = time.perf_counter()
            await calls[name](question)
            if number >= warm:
                samples[name].append(1e3 * (time.perf_counter() - started))
    return samples
