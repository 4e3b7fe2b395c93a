"""Which Kubernetes: one that is given, Docker's, or a node of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
from enum import Enum

from voicehelper_e2e.cluster.home import Home


class Way(Enum):
    """How a cluster is had."""

    GIVEN = "given"
    KIND = "kind"
    BARE = "bare"


def chosen() -> tuple[Way, str]:
    """The way, and why, for people."""
    given = os.environ.get("KUBECONFIG", "")
    if given and given != str(Home.default().kubeconfig):
        return Way.GIVEN, f"using the cluster of KUBECONFIG={given}"
    if _docker() and shutil.which("kind"):
        return Way.KIND, "using kind: a Docker engine answers"
    return Way.BARE, "no KUBECONFIG and no Docker engine with kind: a node of our own"


def _docker() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "info"], capture_output=True, check=False, timeout=20).returncode == 0
