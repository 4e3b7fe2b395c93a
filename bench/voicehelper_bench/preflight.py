"""Programs that only benchmarks need; as root on Debian they are installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from voicehelper_embedded import preflight


def _needs() -> list[preflight.Need]:
    return [preflight.Need("wrk", "wrk", shutil.which("wrk"), "makes HTTP load")]


def provide(say: Callable[[str], None]) -> None:
    """Install what is missing. Raises Failure that names the command where that cannot be done."""
    preflight.provide(say, _needs)
