"""What a test says, and the rules that all of them follow."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from voicehelper_crds.meta import Model

from voicehelper_operator.releases.judgement.feed import Feed
from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.words import e_value

Result = Literal["Success", "Failure", "Inconclusive", "NoData", "QueryError"]


class Verdict(Frozen):
    """Only ``Success`` may let a release go on, and only ``Failure`` is evidence against it."""

    result: Result
    """Success: better than the limit. Failure: worse. Inconclusive: neither. NoData, QueryError: nobody can tell."""
    message: str
    """Why, as a sentence for people without its end."""
    worse: float = 0.0
    """Natural logarithm of the e-value for worse than the limit."""
    better: float = 0.0
    """Natural logarithm of the e-value for better than the limit."""


class Criteria(Model):
    """What the settings of all tests have."""

    subject: str = "errors"
    """What is counted, for the message."""
    alpha: float = Field(default=0.001, gt=0, lt=1)
    """How probable it may be that a release that is not worse than the limit ever fails."""
    success_alpha: float = Field(default=0.01, gt=0, lt=1)
    """How probable it may be that a release that is not better than the limit ever succeeds."""
    max_silent: int = Field(default=24, ge=1)
    """After so many batches without data, what was seen before them is no success any more."""


def decided(
    criteria: Criteria,
    feed: Feed,
    *,
    seen: str,
    worse: float,
    better: float,
    limits: tuple[str, str],
    missing: str | None,
    few: str | None,
) -> Verdict:
    """In this order: evidence for worse, a broken query, no data, evidence for better, neither.

    ``seen`` says what was observed; ``worse`` and ``better`` are natural logarithms of e-values against ``limits``;
    ``missing`` says which data there are none of, ``few`` which there are too few of for a success.
    """
    fails, passes = -math.log(criteria.alpha), -math.log(criteria.success_alpha)
    above, below = limits
    if missing is None and worse >= fails:
        result: Result = "Failure"
        message = f"{seen}: more than {above}, e-value {e_value(worse)} >= {e_value(fails)}"
    elif feed.problem is not None:
        result, message = "QueryError", f"{criteria.subject} cannot be judged: {feed.problem}"
    elif missing is not None:
        result, message = "NoData", f"{criteria.subject} cannot be judged: {missing}"
    elif feed.silent >= criteria.max_silent:
        result, message = "NoData", f"{seen}, but nothing in the last {feed.silent:,} batches"
    elif better >= passes and few is None:
        result = "Success"
        message = f"{seen}: less than {below}, e-value {e_value(better)} >= {e_value(passes)}"
    else:
        result = "Inconclusive"
        message = (
            f"{seen}: neither more than {above} (e-value {e_value(worse)} of {e_value(fails)})"
            f" nor less than {below} (e-value {e_value(better)} of {e_value(passes)})"
        )
        if better >= passes:
            message = f"{seen}: less than {below}, but {few}"
    return Verdict(result=result, message=message, worse=worse, better=better)
