"""What an oracle says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that must not be: lost, doubled, left over or never found."""

    check: str
    """Which check says so: ``messages``, ``kafka``, ``warehouse``, ``views``, ``documents``, ``vectors``, ..."""
    subject: str
    """The tenant, the cell or the thing."""
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.text}"


def shortened(items: Iterable[object], most: int = 5) -> str:
    """Some of many, for people."""
    listed = sorted(map(str, items))
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
