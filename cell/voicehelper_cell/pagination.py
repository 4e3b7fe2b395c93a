"""Opaque cursors of lists."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from uuid import UUID

from voicehelper_core.errors import InvalidArgument, NotFound

MAX_LIMIT = 100
DEFAULT_LIMIT = 50
_MAX_CURSOR = 500


def checked_limit(limit: int) -> int:
    """The page size; 0 means the default. Raises InvalidArgument."""
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidArgument(f"limit: between 1 and {MAX_LIMIT}")
    return limit or DEFAULT_LIMIT


def encode(*key: object) -> str:
    """The cursor after an item with this key."""
    return base64.urlsafe_b64encode(json.dumps([str(part) for part in key]).encode()).decode().rstrip("=")


def _decode(cursor: str, parts: int) -> list[str]:
    if len(cursor) > _MAX_CURSOR:
        raise _refused()
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(key, list) or len(key) != parts or not all(isinstance(part, str) for part in key):
            raise ValueError
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise _refused() from None
    return key


def _refused() -> InvalidArgument:
    return InvalidArgument("cursor: send the next_cursor of an earlier page unchanged")


def decode_time(cursor: str) -> tuple[datetime, UUID] | None:
    """A key of time and id; None for the first page. Raises InvalidArgument."""
    if not cursor:
        return None
    moment, identifier = _decode(cursor, 2)
    try:
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(UTC), UUID(identifier)
    except (ValueError, OverflowError):
        raise _refused() from None


def decode_number(cursor: str) -> int | None:
    """A key that is a number; None for the first page. Raises InvalidArgument."""
    if not cursor:
        return None
    (text,) = _decode(cursor, 1)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _refused()
    return int(text)


def identifier(text: str, what: str) -> UUID:
    """An id from a path. Raises NotFound: what is not an id names nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"there is no {what} with this id") from None
