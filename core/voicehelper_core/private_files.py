"""Files that nobody but their owner reads, which are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def written(path: Path, text: str, owner: tuple[int, int] | None = None) -> Path:
    """A new file beside ``path``, with mode 0600 and safely on the disk: to be linked or moved to ``path``.

    ``owner`` are the ids of a user and a group, those of this process where there are none.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            if owner and owner != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, *owner)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def replace(path: Path, text: str, owner: tuple[int, int] | None = None) -> None:
    """A reader of ``path`` sees what was there, or the text, never half of it."""
    temporary = written(path, text, owner)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
