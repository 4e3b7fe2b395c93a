"""How the data come in: whether the last query was sound, and for how long there was nothing."""

from __future__ import annotations

from pydantic import Field

from voicehelper_operator.releases.judgement.model import Frozen


class Feed(Frozen):
    """Part of every state."""

    problem: str | None = None
    """Why the last batch was broken, as a sentence without its end; a broken batch counts for nothing else."""
    silent: int = Field(default=0, ge=0)
    """Batches without data, or broken, since the last sound one with some."""

    def after(self, problem: str | None, silent: bool) -> Feed:
        """With the next batch."""
        return Feed(problem=problem, silent=self.silent + 1 if silent or problem is not None else 0)
