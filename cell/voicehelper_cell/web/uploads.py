"""Reads an upload in any of its forms, never more than the limit of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from voicehelper_core.errors import InvalidArgument, TooLarge, UnsupportedMediaType

OVERHEAD = 64 * 2**10
"""What a multipart body may have besides its file."""
_TYPES = {
    "md": "text/markdown", "markdown": "text/markdown", "txt": "text/plain", "html": "text/html", "htm": "text/html",
    "json": "application/json",
}  # fmt: skip
_DIRECT = ("text/plain", "text/markdown", "text/html")

OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "title": {"type": "string"},
                        "external_id": {"type": "string"},
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["content"],
                    "properties": {
                        "title": {"type": "string"},
                        "content": {"type": "string", "description": "Markdown"},
                        "external_id": {"type": "string"},
                        "id": {"type": "string", "description": "The same as external_id"},
                    },
                }
            },
        },
    }
}


@dataclass(frozen=True, slots=True)
class Given:
    """A document as it came."""

    content: bytes
    media_type: str
    title: str = ""
    external_id: str = ""


async def read(request: Request, limit: int) -> Given:
    """Multipart, JSON, or the text itself. Raises TooLarge, InvalidArgument, UnsupportedMediaType."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    _check_length(request, limit + OVERHEAD)
    if kind == "multipart/form-data":
        return await _multipart(request, limit)
    if kind == "application/json":
        return _json(await _body(request, limit))
    if kind in _DIRECT:
        query = request.query_params
        return Given(
            await _body(request, limit),
            request.headers["content-type"],
            query.get("title", ""),
            query.get("external_id", ""),
        )
    raise UnsupportedMediaType(f"send multipart/form-data, application/json or one of {', '.join(_DIRECT)}")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"a document may have {limit} bytes at most")


def _check_length(request: Request, limit: int) -> None:
    """What announces itself as too large is not read at all."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > limit:
        raise _too_large(limit - OVERHEAD)


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


async def _multipart(request: Request, limit: int) -> Given:
    """The form parser keeps a large file on disk; the stream is cut at the limit."""

    async def bounded() -> Any:
        total = 0
        async for piece in request.stream():
            total += len(piece)
            if total > limit + OVERHEAD:
                raise _too_large(limit)
            yield piece

    try:
        form = await MultiPartParser(request.headers, bounded(), max_files=1, max_fields=10).parse()
    except (MultiPartException, MultipartParseError, KeyError) as error:
        raise InvalidArgument(f"the form cannot be read: {getattr(error, 'message', error)}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidArgument("file: send the document in the form field 'file'")
        content = await file.read(limit + 1)
        if len(content) > limit:
            raise _too_large(limit)
        suffix = (file.filename or "").rpartition(".")[2].lower()
        kind = file.content_type or ""
        if kind.partition(";")[0].strip().lower() in ("", "application/octet-stream"):
            kind = _TYPES.get(suffix, kind)
        return Given(content, kind, _field(form.get("title")), _field(form.get("external_id")))
    finally:
        await form.close()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgument("title and external_id: send text, not files")
    return value


def _json(body: bytes) -> Given:
    try:
        document = json.loads(body)
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the body is not valid UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument("the body: send an object with 'content'")
    unknown = sorted(set(document) - {"title", "content", "external_id", "id"})
    if unknown:
        raise InvalidArgument(f"{unknown[0]}: there is no such field")
    for name, value in document.items():
        if not isinstance(value, str):
            raise InvalidArgument(f"{name}: send a string")
    if "content" not in document:
        raise InvalidArgument("content: it is missing")
    try:
        content = document["content"].encode()
    except UnicodeEncodeError:
        raise InvalidArgument("content: holds a lone surrogate, which is not text") from None
    external_id = document.get("external_id") or document.get("id") or ""
    return Given(content, "text/markdown", document.get("title", ""), external_id)
