"""From where to where, and of whom."""

from __future__ import annotations

from dataclasses import dataclass

from voicehelper_core import names


@dataclass(frozen=True, slots=True)
class Ends:
    """Ids of a move's tenant and cells."""

    tenant_id: str
    source: str
    target: str

    def __post_init__(self) -> None:
        for identifier in (self.tenant_id, self.source, self.target):
            names.checked(identifier)
