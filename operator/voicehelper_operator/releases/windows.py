"""When a cell may be begun: windows, freezes, the cell's own maintenance window. Pure; all times are UTC."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from voicehelper_crds.cells import MaintenanceWindow
from voicehelper_crds.releases import ReleaseWindow, Strategy

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def closed(strategy: Strategy, now: datetime) -> tuple[str, str] | None:
    """Why no cell may be begun now: a reason in one word and a sentence."""
    for freeze in strategy.freezes:
        if _aware(freeze.begin) <= now < _aware(freeze.end):
            why = f" ({freeze.reason})" if freeze.reason else ""
            return "Frozen", f"no cell is begun until {freeze.end:%Y-%m-%d %H:%M} UTC{why}"
    if strategy.windows and not any(_open(window, now, window.days) for window in strategy.windows):
        return "OutsideWindow", f"cells are begun {_told(strategy.windows)} UTC only"
    return None


def may_disturb(window: MaintenanceWindow | None, now: datetime) -> bool:
    """Whether a cell's own window is open."""
    return window is None or _open(window, now)


def _open(window: MaintenanceWindow, now: datetime, days: Iterable[str] = ()) -> bool:
    """A window may reach into the next day; ``days`` are those on which it begins, none means every day."""
    hour, minute = map(int, window.start.split(":"))
    allowed = tuple(days) or _DAYS
    for back in (0, 1):
        begin = (now - timedelta(days=back)).replace(hour=hour, minute=minute, second=0, microsecond=0)
        if begin <= now < begin + timedelta(hours=window.hours) and _DAYS[begin.weekday()] in allowed:
            return True
    return False


def _told(windows: Iterable[ReleaseWindow]) -> str:
    return ", ".join(
        f"from {window.start} for {window.hours} h{' on ' + '/'.join(window.days) if window.days else ''}"
        for window in windows
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
