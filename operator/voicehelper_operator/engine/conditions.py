"""Conditions: the truth about a resource. A transition time changes only when a status does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from voicehelper_crds import Condition

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a condition should say now."""

    type: str
    status: Status
    reason: str
    message: str = ""


def yes(kind: str, reason: str, message: str = "") -> Judgement:
    """It holds."""
    return Judgement(kind, "True", reason, message)


def no(kind: str, reason: str, message: str = "") -> Judgement:
    """It does not hold."""
    return Judgement(kind, "False", reason, message)


def merged(
    old: Iterable[Condition], new: Iterable[Judgement], generation: int, now: datetime | None = None
) -> list[Condition]:
    """The conditions with the judgements of this generation; others stay as they are."""
    known = {condition.type: condition for condition in old}
    for judgement in new:
        before = known.get(judgement.type)
        same = before is not None and before.status == judgement.status
        at = before.last_transition_time if before is not None and same else now or datetime.now(UTC)
        known[judgement.type] = Condition(
            type=judgement.type,
            status=judgement.status,
            reason=judgement.reason,
            message=judgement.message,
            observed_generation=generation,
            last_transition_time=at,
        )
    return list(known.values())


def gained(old: Iterable[Condition], new: Iterable[Condition]) -> bool:
    """Whether a condition became True."""
    before = {condition.type for condition in old if condition.status == "True"}
    return any(condition.status == "True" and condition.type not in before for condition in new)
