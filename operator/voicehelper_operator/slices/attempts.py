"""Several stores at once, each with its own problem."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from voicehelper_core.errors import AppError

from voicehelper_operator.engine import metrics

T = TypeVar("T")


async def attempted(jobs: Mapping[str, Awaitable[object]]) -> dict[str, str]:
    """Wait for all jobs; what is wrong, by store. One that fails does not end the others."""
    results = await _results(jobs)
    return {store: explained(result) for store, result in results.items() if isinstance(result, Exception)}


async def ensured(jobs: Mapping[str, Awaitable[tuple[list[str], str | None]]]) -> tuple[list[str], dict[str, str]]:
    """The same for jobs that give what they made and what does not work yet: all that was made, problems by store."""
    made: list[str] = []
    problems: dict[str, str] = {}
    for store, result in (await _results(jobs)).items():
        parts, problem = ([], explained(result)) if isinstance(result, Exception) else result
        made += parts
        if problem:
            problems[store] = problem
    return made, problems


async def _results(jobs: Mapping[str, Awaitable[T]]) -> dict[str, T | Exception]:
    """What each job gave or raised (each client raises its own)."""
    results = await asyncio.gather(*jobs.values(), return_exceptions=True)
    found: dict[str, T | Exception] = {}
    for store, result in zip(jobs, results, strict=True):
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result
        if isinstance(result, Exception):
            metrics.STORE_ERRORS.labels(store, type(result).__name__).inc()
        found[store] = result
    return found


def explained(error: Exception) -> str:
    """What a client of a store said; ours say it in a sentence."""
    return error.detail if isinstance(error, AppError) else f"{type(error).__name__}: {error}"[:500]


def described(problems: Mapping[str, str]) -> str:
    """Problems by store as a sentence."""
    return "; ".join(f"{store}: {problem}" for store, problem in problems.items())
