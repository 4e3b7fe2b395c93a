"""What one scrape added, and the sum of all scrapes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from voicehelper_operator.releases.judgement.model import Frozen

TOO_MANY = 2.0**53  # from here on a float does not tell a count from the next


@dataclass(frozen=True, slots=True)
class Counts:
    """Of requests, and of the bad ones among them (errors, slow answers), as a query told them: they may be broken."""

    requests: float
    bad: float


class Total(Frozen):
    """Sum of sound counts."""

    requests: int = Field(default=0, ge=0)
    """Requests."""
    bad: int = Field(default=0, ge=0)
    """The bad ones among them."""

    def plus(self, counts: Counts | Total) -> Self:
        """With those of a batch, which must be sound (``problem``)."""
        return type(self)(requests=self.requests + int(counts.requests), bad=self.bad + int(counts.bad))

    @property
    def share(self) -> float:
        """Of bad requests, 0 to 1; NaN without requests."""
        return self.bad / self.requests if self.requests else math.nan


def broken(value: float, what: str) -> str | None:
    """Why the number of ``what`` that was counted in a batch cannot be one; None where it can."""
    if not math.isfinite(value):
        return f"the number of {what} is {value}"
    if value < 0:
        return f"the number of {what} fell by {-value:,g}"
    if value >= TOO_MANY:
        return f"{value:g} {what} are too many to be counted"
    if value != int(value):
        return f"{value:g} {what} are not a whole number: ask for the counters, not for increase() or rate()"
    return None


def problem(counts: Counts, whose: str, bad: str = "errors") -> str | None:
    """Why the counts of a batch cannot be: not finite, negative, not whole, or more bad requests than requests."""
    reason = broken(counts.requests, f"requests of {whose}") or broken(counts.bad, f"{bad} of {whose}")
    if reason is None and counts.bad > counts.requests:
        reason = f"{whose} has {counts.bad:,.0f} {bad} in {counts.requests:,.0f} requests: each must be a request, too"
    return reason
