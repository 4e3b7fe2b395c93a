"""Files that can be uploaded as documents, with what they are called there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from voicehelper_cli.failures import Failure

MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """One file. ``external_id`` identifies the document: uploading it again replaces it."""

    file: Path
    external_id: str
    media_type: str


def collect(paths: Iterable[str]) -> list[Upload]:
    """Uploads of files and of folders' files, in order, each once. Raises Failure."""
    found: dict[str, Upload] = {}
    for path in paths:
        for upload in _below(Path(path)):
            other = found.setdefault(upload.external_id, upload)
            if other.file.resolve() != upload.file.resolve():
                raise Failure(f"{other.file} and {upload.file} would both become the document {upload.external_id!r}")
    if not found:
        raise Failure(f"no {', '.join(MEDIA_TYPES)} file in {', '.join(paths)}")
    return list(found.values())


def _below(path: Path) -> Iterator[Upload]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            hidden = any(part.startswith(".") for part in relative.parts)
            if not hidden and file.suffix.lower() in MEDIA_TYPES and file.is_file():
                yield _upload(file, relative.as_posix())
        return
    if not path.exists():
        raise Failure(f"{path}: no such file or folder")
    if path.suffix.lower() not in MEDIA_TYPES:
        raise Failure(f"{path}: only {', '.join(MEDIA_TYPES)} files can be added")
    yield _upload(path, path.name)


def _upload(file: Path, name: str) -> Upload:
    media_type = MEDIA_TYPES[file.suffix.lower()]
    return Upload(file, (_json_id(file) if media_type == "application/json" else None) or name, media_type)


def _json_id(file: Path) -> str | None:
    """The ``id`` inside a JSON document; the server refuses what cannot be read, with a reason."""
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    found = document.get("id") if isinstance(document, dict) else None
    return str(found) if found else None
