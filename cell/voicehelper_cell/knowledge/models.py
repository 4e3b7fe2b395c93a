"""What knowledge speaks about."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

ROUTE = "knowledge.documents.upload"
"""Scope of idempotency keys, besides tenant and user."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document without its text."""

    id: uuid.UUID
    external_id: str
    title: str
    media_type: str
    status: str
    error: str
    revision: int
    size_bytes: int
    chunk_count: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """What a tenant has."""

    documents: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A checked upload, ready to be stored."""

    external_id: str
    title: str
    media_type: str
    text: str
    content: bytes
    request_hash: bytes
    idempotency_key: str
