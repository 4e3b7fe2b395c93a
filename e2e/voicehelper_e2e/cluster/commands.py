"""Commands of others: what they print, or why they failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from voicehelper_cli.failures import Failure


def run(*command: str, folder: Path | None = None, given: str | None = None) -> str:
    """Output of a command, ``given`` being its input. Raises Failure with what it said."""
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shown = " ".join(command)
        raise Failure(f"'{shown[:200]}' failed: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout
