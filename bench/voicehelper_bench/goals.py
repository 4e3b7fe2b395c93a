"""Goals: what a figure has to be, and where that is asked for. Each page of ``pages`` declares its own."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from voicehelper_bench.figures import Figure

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Goal:
    """``metric op value``; ``of`` says whether the figure's value or its ratio to the peer is meant.

    ``why`` explains a miss (the cause, from a profile); it is printed only while the goal is missed.
    """

    what: str
    metric: str
    op: Literal["<=", ">=", "=="]
    value: float
    of: Literal["value", "ratio"] = "value"
    source: str = "issue 4"
    why: str = ""

    def measured(self, figure: Figure) -> float | None:
        """The number that counts; None where the figure has none."""
        number = figure.ratio if self.of == "ratio" else figure.value
        return number if isinstance(number, float | int) else None

    def met(self, figure: Figure) -> bool | None:
        """Whether the goal is met; None where it was not measured."""
        number = self.measured(figure)
        return None if number is None else _OPERATORS[self.op](number, self.value)
