"""Which release a cell should run, as the releases' statuses say. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voicehelper_crds import Cell, CellRelease
from voicehelper_crds.models import CellReleaseStatus

from voicehelper_operator.releases import stages


@dataclass(frozen=True, slots=True)
class Assignment:
    """What rollouts say of a cell."""

    release: str
    moving: bool = False
    """Whether the cell is on its way there: it does not fall asleep meanwhile."""
    beside: bool = False
    """Whether it stays beside the release that serves."""
    weight: int = 0
    """Percent of the users that it gets then."""


def assigned(cell: Cell, releases: Iterable[CellRelease]) -> Assignment | None:
    """By the latest release that has begun with the cell and is not over; None where none says anything."""
    begun = [item for item in releases if item.status.started_at is not None and item.status.finished_at is None]
    for release in sorted(begun, key=lambda item: str(item.status.started_at), reverse=True):
        if (found := _of(cell, release)) is not None:
            return found
    return None


def _of(cell: Cell, release: CellRelease) -> Assignment | None:
    for wave in release.status.waves:
        for entry in wave.cells:
            if entry.cell == cell.metadata.name and entry.cell_id == cell.status.cell_id:
                match entry.phase:
                    case "Upgrading" | "Shifting" | "Failed" if stages.beside(release.status, entry):
                        weight = stages.weight(release.status, entry)
                        return Assignment(release.spec.release, moving=True, beside=True, weight=weight)
                    case "Upgrading" | "Shifting":
                        return Assignment(release.spec.release, moving=True)
                    case "Updated" | "Failed":
                        return Assignment(release.spec.release)
                    case "RollingBack":
                        return Assignment(entry.previous, moving=True)
                    case _:
                        return None
    return None


def concerned(before: CellReleaseStatus | None, now: CellReleaseStatus | None) -> set[str]:
    """Names of cells whose phase or stage differs."""
    told = [
        {
            (entry.cell, entry.phase, stages.beside(status, entry), stages.weight(status, entry))
            for wave in status.waves
            for entry in wave.cells
        }
        if status is not None
        else set()
        for status in (before, now)
    ]
    return {cell for cell, *_ in told[0] ^ told[1]}


def newest(releases: Iterable[CellRelease]) -> CellRelease | None:
    """The one that all cells got last: a cell that has no release begins with its."""
    done = [item for item in releases if item.status.phase == "Complete" and item.status.finished_at is not None]
    return max(done, key=lambda item: str(item.status.finished_at), default=None)
