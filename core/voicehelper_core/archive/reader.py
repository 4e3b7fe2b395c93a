"""Reads an archive: member by member, or once through to see whether it is whole and unaltered."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

from pydantic import ValidationError

from voicehelper_core.archive import manifest as described
from voicehelper_core.archive.manifest import ArchiveError, Manifest, ObjectEntry, Part

_CHUNK = 2**20
_PATH = re.compile(
    r"voicehelper-archive\.json|manifest\.json|users/(\d{6}\.jsonl|admin\.json)|rows/[a-z_]+/[a-z_0-9]+/\d{6}\.copy"
    r"|objects/\d{8}(\.index\.jsonl)?"
)
_MOST = 64 * 2**20
"""Bytes that are held at once: of a manifest, an index or the users of a part."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member while it is read; the next one ends it."""

    path: str
    size: int
    key: str
    """Of an object."""
    _file: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """Its bytes. Raises ArchiveError where they end too early."""
        left = self.size
        while left:
            with _readable():
                chunk = self._file.read(min(_CHUNK, left))
            if not chunk:
                raise ArchiveError(f"the archive is cut off within {self.path}")
            left -= len(chunk)
            yield chunk

    def content(self, most: int = _MOST) -> bytes:
        """All of it. Raises ArchiveError where that is more than ``most``."""
        if self.size > most:
            raise ArchiveError(f"{self.path} has {self.size} bytes, more than the {most} that it may have")
        return b"".join(self.chunks())


def members(file: BinaryIO) -> Iterator[Member]:
    """All members in order. Raises ArchiveError for a foreign, broken or cut-off file and for paths that none has."""
    packed = gzip.GzipFile(fileobj=file, mode="rb")
    with _readable():
        tar = tarfile.open(  # noqa: SIM115 (the file is its caller's)
            fileobj=cast(BinaryIO, packed), mode="r|", bufsize=_CHUNK
        )
    while True:
        with _readable():
            info = tar.next()
        if info is None:
            break
        tar.members = []  # type: ignore[attr-defined]  # it would remember each
        if not _PATH.fullmatch(info.name) or not info.isreg():
            raise ArchiveError(f"the archive holds {info.name[:200]!r}, which no archive of a tenant does")
        opened = tar.extractfile(info)
        assert opened is not None
        yield Member(info.name, info.size, info.pax_headers.get(described.KEY, ""), opened)
    with _readable():  # gzip compares its own checksum at the end
        while packed.read(_CHUNK):
            pass


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(f"the archive is broken or cut off, or it is no archive of a tenant ({error})") from None


def verify(file: BinaryIO) -> tuple[Manifest, str]:
    """Read the whole file: its manifest, and the SHA-256 of that, which tells archives apart. Raises ArchiveError."""
    check, text = _Check(), b""
    for number, member in enumerate(members(file)):
        if number == 0:
            _start(member)
        elif text:
            raise ArchiveError(f"the archive goes on behind its manifest, with {member.path}")
        elif member.path == described.MANIFEST:
            text = member.content()
        else:
            check.member(member)
    if not text:
        raise ArchiveError("the archive is cut off: its manifest, which comes last, is missing")
    described.check_version(_json(text, described.MANIFEST))
    manifest = described.parse(text)
    check.compare(manifest)
    return manifest, hashlib.sha256(text).hexdigest()


def _start(member: Member) -> None:
    if member.path != described.HEADER:
        raise ArchiveError("this is not an archive of a tenant: its first member is another")
    described.check_version(_json(member.content(4096), described.HEADER))


def _json(text: bytes, path: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ArchiveError(f"{path} cannot be read") from None


def entries(content: bytes, path: str) -> list[ObjectEntry]:
    """The lines of an index. Raises ArchiveError."""
    try:
        return [ObjectEntry.model_validate_json(line) for line in content.splitlines()]
    except ValidationError:
        raise ArchiveError(f"{path} cannot be read") from None


@dataclass(slots=True)
class _Check:
    """What was seen on the way, to be held against the manifest."""

    parts: list[Part] = field(default_factory=list)
    pending: list[ObjectEntry] = field(default_factory=list)
    objects: int = 0
    object_bytes: int = 0
    tables: dict[tuple[str, str], Any] = field(default_factory=dict)

    def member(self, member: Member) -> None:
        """Read it through."""
        digest, lines, kept = hashlib.sha256(), 0, bytearray()
        table = self._table(member.path)
        index = member.path.endswith(described.INDEX_SUFFIX)
        if index and member.size > _MOST:
            raise ArchiveError(f"{member.path} is too large")
        for chunk in member.chunks():
            digest.update(chunk)
            lines += chunk.count(b"\n")
            if table is not None:
                table.update(chunk)
            if index:
                kept += chunk
        if index:
            self._index(bytes(kept), member.path)
        elif member.path.startswith(described.OBJECTS):
            self.pending.append(ObjectEntry(key=member.key, bytes=member.size, sha256=digest.hexdigest()))
            if len(self.pending) > described.INDEXED:
                raise ArchiveError(f"{member.path}: objects without an index")
            return
        self.parts.append(Part(path=member.path, bytes=member.size, sha256=digest.hexdigest(), rows=lines))

    def _table(self, path: str) -> Any:
        if not path.startswith(described.ROWS):
            return None
        _, service, name, _ = path.split("/")
        return self.tables.setdefault((service, name), hashlib.sha256())

    def _index(self, content: bytes, path: str) -> None:
        listed = entries(content, path)
        for entry, found in zip(listed, self.pending, strict=False):
            if entry != found:
                raise ArchiveError(f"the object {entry.key!r} was altered: its key, size or checksum is another")
        if len(listed) != len(self.pending):
            raise ArchiveError(f"{path} names {len(listed)} objects, but {len(self.pending)} come before it")
        self.objects += len(listed)
        self.object_bytes += sum(entry.bytes for entry in listed)
        self.pending = []

    def compare(self, manifest: Manifest) -> None:
        """Raises ArchiveError that names the first part that differs."""
        if self.pending:
            raise ArchiveError(f"{len(self.pending)} objects are in no index")
        for found, named in zip(self.parts, manifest.parts, strict=False):
            if found.path != named.path:
                raise ArchiveError(f"{named.path} is missing: {found.path} is in its place")
            if found != named:
                raise ArchiveError(f"{named.path} was altered: its size, rows or checksum are not the manifest's")
        if len(self.parts) != len(manifest.parts):
            listed, seen = manifest.parts, self.parts
            odd = (listed[len(seen) :] or seen[len(listed) :])[0]
            raise ArchiveError(f"{odd.path} is {'missing' if len(seen) < len(listed) else 'not in the manifest'}")
        for table in manifest.tables:
            digest = self.tables.pop((table.service, table.name), None) or hashlib.sha256()
            if digest.hexdigest() != table.sha256:
                raise ArchiveError(f"the rows of {table.title} are not those of the manifest")
        if self.tables:
            raise ArchiveError(f"rows of {'.'.join(next(iter(self.tables)))} are not in the manifest")
        if (self.objects, self.object_bytes) != (manifest.objects, manifest.object_bytes):
            raise ArchiveError(f"the archive holds {self.objects} objects, its manifest names {manifest.objects}")
