"""How bad the canary may be, in terms of its peers."""

from __future__ import annotations

from pydantic import Field

from voicehelper_operator.releases.judgement.model import Frozen
from voicehelper_operator.releases.judgement.words import percent


class Limit(Frozen):
    """``factor`` times the share of the peers, plus ``margin``."""

    factor: float = Field(default=1.0, gt=0, le=1000)
    """Times what the peers have."""
    margin: float = Field(default=0.0, ge=0, le=1)
    """Share of requests on top, 0 to 1: 0.005 are five of a thousand."""

    def __str__(self) -> str:
        theirs = "that of the peers" if self.factor == 1 else f"{self.factor:g} times that of the peers"
        return f"{theirs} + {percent(self.margin)}" if self.margin else theirs
