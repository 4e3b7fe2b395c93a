"""Opaque cursors of lists that are ordered by unique keys."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from voicehelper_core.errors import InvalidArgument

MAX_LIMIT = 200


def encode(*key: Any) -> str:
    """The cursor after an item with this key."""
    return base64.urlsafe_b64encode(json.dumps([str(part) for part in key]).encode()).decode().rstrip("=")


def decode(cursor: str, parts: int) -> list[str] | None:
    """The key, or None for the first page. Raises InvalidArgument."""
    if not cursor:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(key, list) or len(key) != parts or not all(isinstance(part, str) for part in key):
            raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise wrong() from None
    return key


def integer(text: str) -> int:
    """A part of a key that must be a number of 64 bits. Raises InvalidArgument."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise wrong()
    return int(text)


def wrong() -> InvalidArgument:
    """What to raise for a cursor that none of our pages had."""
    return InvalidArgument("cursor: send the next_cursor of an earlier page unchanged")
