"""Bounds login attempts: of an address at an account, of an address at all, and of strangers at an account.

Nobody can lock out somebody else: an address from which a user has logged in before is never refused for what
others try at the account.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque

from voicehelper_core.errors import QuotaExceeded

_MAX_KEYS = 50_000
_WIDER = 10  # times as many failures of an address at all accounts, and at an account from all addresses

Key = tuple[str, str]


class LoginLimiter:
    """Counts failures in a sliding window, in memory."""

    def __init__(self, failures: int, window_seconds: float) -> None:
        self._most, self._window = failures, window_seconds
        self._failed: OrderedDict[Key, deque[float]] = OrderedDict()
        self._known: OrderedDict[Key, None] = OrderedDict()

    def attempt(self, address: str | None, account: str) -> None:
        """Count an attempt, until ``succeeded`` takes it back. Raises QuotaExceeded with the seconds to wait.

        ``address`` is None where another service of ours speaks for its client.
        """
        keys = self._keys(address, account)
        for key, most in keys:
            times = self._recent(key)
            if len(times) >= most and not (key[0] == "" and (address, account) in self._known):
                wait = max(1, round(times[-most] + self._window - time.monotonic() + 0.5))
                raise QuotaExceeded(f"too many failed logins: wait {wait} s", retry_after=wait)
        for key, _ in keys:
            self._failed.setdefault(key, deque()).append(time.monotonic())
            _bounded(self._failed, key)

    def succeeded(self, address: str | None, account: str) -> None:
        """Forget the failures of the address at the account, and the attempt elsewhere."""
        pair, *others = (key for key, _ in self._keys(address, account))
        self._failed.pop(pair, None)
        for key in others:
            if times := self._recent(key):
                times.pop()
        if address is not None:
            self._known[(address, account)] = None
            _bounded(self._known, (address, account))

    def _keys(self, address: str | None, account: str) -> list[tuple[Key, int]]:
        keys = [((address or "-", account), self._most)]
        if address is not None:
            keys += [((address, ""), self._most * _WIDER), (("", account), self._most * _WIDER)]
        return keys

    def _recent(self, key: Key) -> deque[float]:
        times = self._failed.get(key)
        if times is None:
            return deque()
        while times and times[0] < time.monotonic() - self._window:
            times.popleft()
        if not times:
            del self._failed[key]
        return times


def _bounded(entries: OrderedDict[Key, deque[float]] | OrderedDict[Key, None], newest: Key) -> None:
    entries.move_to_end(newest)
    while len(entries) > _MAX_KEYS:
        entries.popitem(last=False)
