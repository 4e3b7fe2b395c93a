"""Copies of the code that services run from, and the interpreter that runs them (ADR 8)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from voicehelper_embedded.home import Home

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("crds", "core", "operator", "control_plane", "router", "cell", "analytics", "cli", "embedded")
_KEPT = {".py", ".typed", ".xml", ".yaml", ".json", ".mako", ".sql"}


@dataclass(frozen=True, slots=True)
class Release:
    """``id`` is the hash of the code; ``path`` holds the packages; ``python`` runs them."""

    id: str
    path: Path
    python: Path

    def environment(self) -> dict[str, str]:
        """What every process of the release gets; nothing of the caller's environment but the locale."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "VOICEHELPER_SERVICE_VERSION": f"0.1.0+{self.id}",
        }


def _sources() -> Iterator[tuple[Path, Path]]:
    """Files of the release with their places in it: from a checkout, or from an installed release."""
    for room in ROOMS:
        package = f"voicehelper_{room}"
        base = ROOT / room if (ROOT / room / package).is_dir() else ROOT.parent / room
        folder = base / package if (base / package).is_dir() else ROOT / package
        for file in sorted(folder.rglob("*")):
            relative = Path(package) / file.relative_to(folder)
            if file.is_file() and file.suffix in _KEPT and "tests" not in relative.parts:
                yield file, relative


def build(home: Home, say: Callable[[str], None]) -> Release:
    """Copy the code below the home folder unless that release is there already."""
    files = list(_sources())
    digest = hashlib.sha256()
    for file, relative in files:
        digest.update(f"{relative}\0".encode() + file.read_bytes() + b"\0")
    identifier = f"r{digest.hexdigest()[:11]}"
    target = home.releases / identifier
    if not target.exists():
        temporary = home.releases / f".{identifier}.{os.getpid()}"
        for file, relative in files:
            (temporary / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, temporary / relative)
        for path in (temporary, *temporary.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(temporary)], check=False, capture_output=True)
        temporary.replace(target)
    return Release(identifier, target, interpreter(home, say))


def reachable(path: Path) -> bool:
    """Whether any user may execute ``path``: all folders above it and every link on the way let others pass."""
    real = path.resolve()
    chain = [*path.absolute().parents, *real.parents]
    return all(folder.stat().st_mode & 0o001 for folder in chain) and bool(real.stat().st_mode & 0o001)


def interpreter(home: Home, say: Callable[[str], None]) -> Path:
    """The running environment's Python, or one below the home folder where service users cannot reach that."""
    current = Path(sys.executable)
    if not home.root or reachable(current):
        return current
    lock = ROOT / "requirements.lock"
    target = home.folder / "env" / hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    python = target / "bin" / "python"
    if not (target / ".complete").exists():
        say("building an environment that service users can read (the checkout's is out of their reach)")
        subprocess.run(["/usr/bin/python3", "-m", "venv", str(target)], check=True, capture_output=True)
        sync = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "sync",
            "--quiet",
            "--compile-bytecode",
            "--python",
            str(python),
            str(lock),
        ]
        subprocess.run(sync, check=True)
        (target / ".complete").touch()
    return python
