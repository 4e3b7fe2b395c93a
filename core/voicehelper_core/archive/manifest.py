"""What an archive says of itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voicehelper_core.errors import Unprocessable

FORMAT = "voicehelper.io/tenant-archive"
VERSION = 1
HEADER, MANIFEST = "voicehelper-archive.json", "manifest.json"
USERS, ROWS, OBJECTS = "users/", "rows/", "objects/"
ADMIN = "users/admin.json"
"""Login of the tenant's first admin, as the operator keeps it."""
INDEX_SUFFIX = ".index.jsonl"
KEY = "VOICEHELPER.key"
"""Attribute of a member that holds an object: its key."""
RESTORING, RESTORED = "voicehelper.io/restoring", "voicehelper.io/restored-from"
"""Annotations of a Tenant that is being filled, or was filled, from an archive: the SHA-256 of its manifest."""
PART_BYTES = 8 * 2**20
"""Rows in one member, at most, unless one row alone is larger."""
INDEXED = 1000
"""Objects behind which their index follows, at most."""


class ArchiveError(Unprocessable):
    """The file is not a whole and unaltered archive; ``detail`` says what is wrong with it."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Part(_Model):
    """One member."""

    path: str
    bytes: int = Field(ge=0)
    sha256: str
    rows: int | None = None
    """Of rows, users and entries of an index."""


class Table(_Model):
    """All rows of one table, over its parts."""

    service: str
    name: str
    columns: list[str]
    rows: int
    sha256: str
    """Of its parts' contents one after the other: rows in the order of the key."""

    @property
    def title(self) -> str:
        """``knowledge.chunks``."""
        return f"{self.service}.{self.name}"


class ObjectEntry(_Model):
    """A line of an index."""

    key: str
    """Below the tenant's prefix."""
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(_Model):
    """The last member."""

    format: Literal["voicehelper.io/tenant-archive"] = "voicehelper.io/tenant-archive"
    version: int = VERSION
    created_at: datetime
    tenant: str
    tenant_id: str
    plan: str
    cell: str
    cell_id: str
    resource: dict[str, Any]
    """The Tenant as it was, without status."""
    schemas: dict[str, str]
    """Schema revision by service; a service without a schema is missing."""
    tables: list[Table]
    users: int
    objects: int
    object_bytes: int
    parts: list[Part]

    def rows(self, service: str, name: str) -> int:
        """Rows of one table."""
        return sum(table.rows for table in self.tables if (table.service, table.name) == (service, name))


def check_version(document: Any) -> None:
    """Raises ArchiveError for what is not an archive, or one of another version."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ArchiveError("this is not an archive of a tenant")
    if document.get("version") != VERSION:
        raise ArchiveError(
            f"the archive has format version {document.get('version')!r}, this release reads version {VERSION}:"
            " use a release that knows it"
        )


def parse(text: bytes) -> Manifest:
    """Raises ArchiveError."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArchiveError(f"the manifest cannot be read: {where}: {first['msg']}") from None
