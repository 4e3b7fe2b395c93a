"""Several stores at once, each with its own problem."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

from voicehelper_core.errors import AppError


async def attempted(jobs: Mapping[str, Awaitable[object]]) -> dict[str, str]:
    """Wait for all jobs; what is wrong, by store. One that fails does not end the others."""
    results = await asyncio.gather(*jobs.values(), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result
    return {
        store: explained(result) for store, result in zip(jobs, results, strict=True) if isinstance(result, Exception)
    }


def explained(error: Exception) -> str:
    """What a client of a store said; ours say it in a sentence."""
    return error.detail if isinstance(error, AppError) else f"{type(error).__name__}: {error}"[:500]


def described(problems: Mapping[str, str]) -> str:
    """Problems by store as a sentence."""
    return "; ".join(f"{store}: {problem}" for store, problem in problems.items())
