"""The file with the keys that sign access tokens: read, made when it is missing, and changed by a rotation."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

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
    temporary = _written(path, ring)
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
        temporary = _written(path, ring, (owner.st_uid, owner.st_gid))
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return ring


def _written(path: Path, ring: KeyRing, owner: tuple[int, int] | None = None) -> Path:
    """A file beside ``path``, for its owner's eyes only."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            if owner and owner != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, *owner)
            file.write(dump(ring))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else changes the keys meanwhile: a rotation must not bring back what was withdrawn after it had read."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
