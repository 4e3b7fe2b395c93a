"""Says what ``up`` does while it does it: a line per stage with the time it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TICK = "\033[32m✓\033[0m"


class Progress:
    """Plain lines; on a terminal the running stage is rewritten in place."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._live = sys.stdout.isatty()
        self.seconds: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """A line of its own."""
        self._clear()
        print(f"  {text}", flush=True)

    def now(self, text: str) -> None:
        """What happens at this moment; only a terminal shows it."""
        if self._live:
            print(f"\r\033[2K  … {text[:100]}", end="", flush=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; its line comes at its end."""
        begun = time.monotonic()
        self.now(name)
        yield
        self.seconds[name] = round(time.monotonic() - begun, 1)
        self._clear()
        print(f"  {_TICK if self._live else 'ok'} {name} ({self.seconds[name]:.1f} s)", flush=True)

    def _clear(self) -> None:
        if self._live:
            print("\r\033[2K", end="")
