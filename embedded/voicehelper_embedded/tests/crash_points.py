"""Where the tests on the running platform kill: at a few points always, at all of them with ``make thorough``.

The quick tests strike at every point of the same reconcilers in memory; a strike on the platform takes 15 to 60 s.
"""

from __future__ import annotations

from typing import Any

import pytest
from voicehelper_core.fault_points import STEPS


def points(reached: str) -> list[str]:
    """The fault points that an action reaches, in their order."""
    return [point for step in STEPS if step.reached == reached for point in step.points]


def parameters(struck: list[str], *, always: tuple[str, ...]) -> list[Any]:
    """Parameters of a test; those that are not always struck are marked as thorough.

    Raises ValueError where a point is to be struck always and is none of them.
    """
    if unknown := set(always) - set(struck):
        raise ValueError(f"no fault points of this test: {', '.join(sorted(unknown))}")
    return [pytest.param(point, id=point, marks=[] if point in always else pytest.mark.thorough) for point in struck]
