"""Server-sent events of an answer: ids to resume from, comments while nothing comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from voicehelper_core import errors
from voicehelper_core.log import get_logger

from voicehelper_cell.web.shapes import plain

log = get_logger(__name__)
HEARTBEAT_SECONDS = 10.0
HEARTBEAT = ": still here\n\n"
OPENAPI: dict[int | str, dict[str, Any]] = {
    200: {"description": "The events of the answer", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
"""How the API's description shows a stream."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def wanted(request: Request) -> bool:
    """Whether the client accepts an event stream."""
    return "text/event-stream" in request.headers.get("accept", "")


def frame(event: Any) -> str:
    """One event on the wire."""
    match event.type:
        case "delta":
            body: dict[str, Any] = {"delta": event.delta}
        case "citation":
            body = plain(event.citation)
        case "error":
            body = {"code": event.error_code, "detail": event.error_detail}
        case _:
            body = plain(event.message)
    return f"id: {event.id}\nevent: {event.type}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


async def response(call: Any) -> StreamingResponse:
    """The stream of a call. What fails before the first event is an ordinary error answer."""
    stream = aiter(call)
    try:
        first = await anext(stream)
    except StopAsyncIteration:
        first = None
    except BaseException:
        call.cancel()
        raise
    return StreamingResponse(_frames(call, stream, first), media_type="text/event-stream", headers=HEADERS)


async def _frames(call: Any, stream: AsyncIterator[Any], first: Any) -> AsyncIterator[str]:
    """A client that goes away ends the reading, not the answer."""
    coming: asyncio.Future[Any] | None = None
    try:
        if first is None:
            return
        yield frame(first)
        while True:
            coming = coming or asyncio.ensure_future(anext(stream))
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT_SECONDS)
            if not done:
                yield HEARTBEAT
                continue
            try:
                event = coming.result()
            except StopAsyncIteration:
                return
            except Exception as error:
                yield _failure(error)
                return
            coming = None
            yield frame(event)
    finally:
        if coming is not None:
            coming.cancel()
        call.cancel()


def _failure(error: Exception) -> str:
    """The stream broke; without an id, so that a client resumes where it was."""
    known = errors.expected(error)
    if known is None:
        log.error("stream failed", exc_info=error)
    body = {"code": known.code, "detail": known.detail} if known else {"code": "internal", "detail": "the stream broke"}
    return f"event: error\ndata: {json.dumps(body)}\n\n"
