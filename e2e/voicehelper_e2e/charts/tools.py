"""Helm and kubeconform: the installed Helm where it is new enough, otherwise what the Go modules give."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from voicehelper_cli.failures import Failure

from voicehelper_e2e.cluster.binaries import HELM, KUBECONFORM, built
from voicehelper_e2e.cluster.commands import run

OLDEST_HELM = (3, 13)
Say = Callable[[str], None]


def helm(say: Say = print) -> Path:
    """The one on the PATH where it is new enough; else it is built, which takes minutes the first time."""
    if (installed := shutil.which("helm")) is not None and _new_enough(installed):
        return Path(installed)
    return built(HELM, say, lambda _: None)


def kubeconform(say: Say = print) -> Path:
    """Checks objects against JSON schemas."""
    return built(KUBECONFORM, say, lambda _: None)


def _new_enough(command: str) -> bool:
    try:
        said = run(command, "version", "--template", "{{.Version}}")
    except Failure:
        return False
    return version(said) >= OLDEST_HELM


def version(said: str) -> tuple[int, int]:
    """Of ``v3.13.2``; 0.0 of what is not a version."""
    found = re.match(r"v?(\d+)\.(\d+)\.", said.strip())
    return (int(found[1]), int(found[2])) if found else (0, 0)
