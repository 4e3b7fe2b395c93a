"""What a failed cell means for a release, and when a cell has failed: a part of ``CellRelease``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voicehelper_crds.meta import Model


class FailurePolicy(Model):
    on_failure: Literal["Rollback", "Pause"] = "Rollback"
    """What happens when ``maxFailedCells`` have failed: cells go back, or nothing more is begun until they are well
    or a person decides."""
    scope: Literal["Cell", "Wave", "AllUpdated"] = "AllUpdated"
    """Which cells go back then: those that failed, all of their wave, all that have the release. A cell that fails
    before goes back alone."""
    max_failed_cells: int = Field(default=1, ge=1, le=1000)
    """The failure that ends the release; where a wave has fewer cells, the failure of all of them does. A cell that is
    upgraded may fail: no more are begun at once than may still fail."""
    unhealthy_seconds: int = Field(default=30, ge=1, le=3600)
    """How long a cell with the release, or a tenant in it, may be not ready before the cell has failed."""
    max_restarts: int = Field(default=2, ge=0, le=1000)
    """How often processes of a cell with the release may die, however soon they answer again."""
    max_memory_growth_percent: int | None = Field(default=None, ge=1, le=10_000)
    """How much more memory the release may have resident than what ran before in the same cell, while the cell's stages
    and the bake of its wave go on (``traffic.analysis`` says what no data mean). Empty: nobody looks."""
