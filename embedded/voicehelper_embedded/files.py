"""Small files, written so that a reader sees the old or the new one and nobody else sees a secret."""

from __future__ import annotations

import json
import os
import pwd
import secrets
from pathlib import Path
from typing import Any


def write(path: Path, text: str, *, mode: int = 0o600, owner: str | None = None) -> None:
    """Replace ``path`` atomically; the mode and the owner hold from the first byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The folder may belong to a service: a random name and O_EXCL keep root from writing through a link in it.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        os.fchmod(descriptor, mode)
        if owner:
            entry = pwd.getpwnam(owner)
            os.fchown(descriptor, entry.pw_uid, entry.pw_gid)
        rest = memoryview(text.encode())
        while rest:  # a disk that fills up takes a part, and says so only at the next write
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any, *, mode: int = 0o600, owner: str | None = None, sort: bool = True) -> None:
    """Replace ``path`` by ``value`` as JSON."""
    write(path, json.dumps(value, indent=2, sort_keys=sort, default=str) + "\n", mode=mode, owner=owner)


def read_json(path: Path, default: Any) -> Any:
    """The value in ``path``, or ``default`` where the file is missing or cut off."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return default
