"""The file with the keys that sign access tokens: read, made when it is missing, and changed by a rotation."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from voicehelper_core import private_files
from voicehelper_core.signing_keys import KeyRing


def parse(text: str | bytes) -> KeyRing:
    """The keys of a file's content. Raises ValueError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the keys are not JSON") from None  # the parser would quote them
    return KeyRing.of(document)


def read(path: Path) -> KeyRing:
    """The keys of a file. Raises OSError; ValueError for what is no such file."""
    return parse(path.read_bytes())


def dump(ring: KeyRing) -> str:
    """The content of a file."""
    return json.dumps(ring.document()) + "\n"


def make(path: Path, ring: KeyRing) -> KeyRing:
    """Write a file that was missing, and give what it holds: that of another process which was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = private_files.written(path, dump(ring))
    try:
        os.link(temporary, path)
    except FileExistsError:
        return read(path)
    finally:
        temporary.unlink()
    return ring


def change(path: Path, how: Callable[[KeyRing], KeyRing]) -> KeyRing:
    """Replace the keys by what ``how`` makes of them, one change after the other; the file keeps its owner.

    Raises OSError, ValueError, and what ``how`` raises; the file is as it was then.
    """
    with _alone(path.parent):
        owner = path.stat()
        ring = how(read(path))
        private_files.replace(path, dump(ring), (owner.st_uid, owner.st_gid))
    return ring


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else changes the keys meanwhile: a rotation must not bring back what was withdrawn after it had read."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
