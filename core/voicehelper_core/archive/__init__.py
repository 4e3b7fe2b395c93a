"""A tenant in one file: what operator writes and restores, and what the command verifies without either.

A gzipped tar. Its first member says what it is, its last one is the manifest, which names every part between them with
its size, its SHA-256 and its rows: what was cut off has no manifest, what was altered does not fit it. Nothing is
restored before the whole file was read and compared (``reader.verify``).

::

    voicehelper-archive.json            {"format": ..., "version": 1}
    users/000001.jsonl                  users of identity, password hashes included
    rows/<service>/<table>/000001.copy  rows as COPY's text format, without the tenant's id
    objects/00000001                    bytes of one object
    objects/00000001.index.jsonl        keys, sizes and SHA-256 of the objects before it
    manifest.json                       manifest.Manifest

Members hold 8 MiB of rows at most, so neither side needs more memory for a larger tenant. Checksums find accidents, not
forgery: whoever can write the file can write its manifest. It holds password hashes: keep it as a secret.
"""

from voicehelper_core.archive.manifest import ArchiveError, Manifest, ObjectEntry, Part, Table
from voicehelper_core.archive.reader import Member, members, verify
from voicehelper_core.archive.writer import ArchiveWriter

__all__ = ["ArchiveError", "ArchiveWriter", "Manifest", "Member", "ObjectEntry", "Part", "Table", "members", "verify"]
