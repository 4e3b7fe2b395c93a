"""What the machine must have, and how to get it. As root on Debian ``up`` installs what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from voicehelper_cli.failures import Failure

_POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True, slots=True)
class Need:
    """A program; ``found`` says which one, None when it is missing or too old."""

    name: str
    package: str
    found: str | None
    why: str


def postgres_bin() -> Path:
    """Folder of PostgreSQL's programs, version 15 or newer. Raises RuntimeError."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    for folder in reversed(folders):
        if float(folder.parent.name) >= 15 and (folder / "initdb").exists():
            return folder
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise RuntimeError("PostgreSQL 15 or newer is not installed")


def _postgres() -> str | None:
    try:
        return str(postgres_bin())
    except RuntimeError:
        return None


def _java() -> str | None:
    if not (java := shutil.which("java")):
        return None
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return f"{java} ({version[1]})" if version and int(version[1]) >= 17 else None


def needs() -> list[Need]:
    """Everything that the packages of ``requirements.lock`` do not bring."""
    return [
        Need("PostgreSQL 15", "postgresql-15", _postgres(), "all relational data"),
        Need("Java 17", "openjdk-17-jre-headless", _java(), "Kafka and Debezium"),
        Need("Maven", "maven", shutil.which("mvn"), "fetches Kafka and Debezium"),
    ]


def missing(wanted: Callable[[], Iterable[Need]] = needs) -> list[Need]:
    """Needs that are not met."""
    return [need for need in wanted() if need.found is None]


def provide(say: Callable[[str], None], wanted: Callable[[], Iterable[Need]] = needs) -> None:
    """Install what is missing of ``wanted``, as root on Debian. Raises Failure that names the command otherwise."""
    lacking = missing(wanted)
    if not lacking:
        return
    packages = [need.package for need in lacking]
    command = f"apt-get install -y {' '.join(packages)}"
    names = ", ".join(need.name for need in lacking)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure(f"missing on this machine: {names}; install with: {command}")
    say(f"installing {names} ({command})")
    _install(packages)
    if still := missing(wanted):
        raise Failure(f"still missing after the installation: {', '.join(need.name for need in still)}")


def _install(packages: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    ours = not _POLICY.exists()
    if ours:  # the packages must not start a server of their own
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failure(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-1500:]}")
    finally:
        if ours:
            _POLICY.unlink(missing_ok=True)
