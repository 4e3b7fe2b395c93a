"""Logs of processes that write to their files themselves, so that they go on when the supervisor is killed."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

LOG_BYTES = 20 * 2**20


def rotate(log: Path, limit: int = LOG_BYTES) -> bool:
    """Copy a large log aside and empty it in place: its writer appends, and so begins at the start again."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit:
            shutil.copy2(log, log.with_suffix(".log.1"))
            with log.open("r+b") as file:
                file.truncate()
            return True
    return False
