"""Bounds failed logins: one address at one account, so that nobody can lock out somebody else."""

from __future__ import annotations

import time
from collections import OrderedDict, deque

from voicehelper_core.errors import QuotaExceeded

_MAX_KEYS = 50_000


class LoginLimiter:
    """Counts failures of (address, account) in a sliding window, in memory."""

    def __init__(self, failures: int, window_seconds: float) -> None:
        self._most, self._window = failures, window_seconds
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def check(self, address: str, account: str) -> None:
        """Raises QuotaExceeded with the seconds to wait."""
        times = self._recent((address, account))
        if len(times) >= self._most:
            wait = max(1, round(times[0] + self._window - time.monotonic() + 0.5))
            raise QuotaExceeded(f"too many failed logins: wait {wait} s", retry_after=wait)

    def failed(self, address: str, account: str) -> None:
        """Count a failure."""
        key = (address, account)
        self._recent(key)
        self._failed.setdefault(key, deque()).append(time.monotonic())
        self._failed.move_to_end(key)
        while len(self._failed) > _MAX_KEYS:
            self._failed.popitem(last=False)

    def succeeded(self, address: str, account: str) -> None:
        """Forget the failures."""
        self._failed.pop((address, account), None)

    def _recent(self, key: tuple[str, str]) -> deque[float]:
        times = self._failed.get(key)
        if times is None:
            return deque()
        while times and times[0] < time.monotonic() - self._window:
            times.popleft()
        if not times:
            del self._failed[key]
        return times
