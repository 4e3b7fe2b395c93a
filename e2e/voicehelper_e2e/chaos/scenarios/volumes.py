"""A store's data on a small volume of its own (tmpfs), which can be filled up and made free again. Needs root."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from voicehelper_e2e.chaos.scenarios.stage import Stage

SPARE_MB = 96
"""Room beyond what the store has when it moves to the volume."""
_BALLAST = ".ballast"
_STEP, _BLOCK = 2**20, 4096


@dataclass(frozen=True, slots=True)
class Volume:
    """Mounted over the store's folder."""

    folder: Path

    def fill(self) -> None:
        """Take all room that is left, to the last block."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as ballast:  # a buffer would fail again when it is closed
            for size in (_STEP, _BLOCK):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(b"\0" * size)

    def free(self) -> None:
        """There is room again."""
        (self.folder / _BALLAST).unlink(missing_ok=True)


@asynccontextmanager
async def moved(stage: Stage, folder: Path, *, stop: Sequence[str]) -> AsyncIterator[Volume]:
    """The folder on a volume; components of ``stop`` do not run while it moves there and back. Nothing stays behind."""
    aside = folder.with_name(f".{folder.name}.aside")
    await _all(stage, "stop", stop)
    try:
        await asyncio.to_thread(_move_in, folder, aside)
    finally:
        await _all(stage, "start", stop)
    try:
        yield Volume(folder)
    finally:
        (folder / _BALLAST).unlink(missing_ok=True)
        await _all(stage, "stop", stop)
        try:
            await asyncio.to_thread(_move_out, folder, aside)
        finally:
            await _all(stage, "start", stop)


async def _all(stage: Stage, order: str, components: Sequence[str]) -> None:
    for name in components:
        await stage.cli(order, name)


def _move_in(folder: Path, aside: Path) -> None:
    used = int(_run("du", "-sm", str(folder)).split()[0])
    owner = folder.stat()
    folder.rename(aside)
    try:
        folder.mkdir()
        _run(
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={used + SPARE_MB}m,mode={owner.st_mode & 0o7777:o}",
            "none",
            str(folder),
        )
        os.chown(folder, owner.st_uid, owner.st_gid)
        _run("cp", "-a", f"{aside}/.", str(folder))
    except BaseException:
        subprocess.run(["umount", str(folder)], check=False, capture_output=True)
        folder.rmdir()
        aside.rename(folder)
        raise
    shutil.rmtree(aside)


def _move_out(folder: Path, aside: Path) -> None:
    _run("cp", "-a", f"{folder}/.", f"{aside}/") if aside.is_dir() else _run("cp", "-a", str(folder), str(aside))
    _run("umount", str(folder))
    folder.rmdir()
    aside.rename(folder)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
